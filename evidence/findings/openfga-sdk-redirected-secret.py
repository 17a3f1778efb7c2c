from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from openfga_sdk.client import ClientConfiguration
from openfga_sdk.credentials import CredentialConfiguration, Credentials
from openfga_sdk.exceptions import ApiException
from openfga_sdk.sync import OpenFgaClient


class OtherOrigin(BaseHTTPRequestHandler):
    def do_POST(self):
        received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_error(400)

    def log_message(self, *_):
        pass


class TokenEndpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path[1:]))
        self.send_header("Location", url_of(other_origin))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def started(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def url_of(server):
    return f"http://127.0.0.1:{server.server_port}/"


other_origin, endpoint = started(OtherOrigin), started(TokenEndpoint)
for status in (301, 302, 303, 307, 308):
    received = []
    settings = CredentialConfiguration(
        api_issuer=f"{url_of(endpoint)}{status}", client_id="app", client_secret="s3cret"
    )
    credentials = Credentials(method="client_credentials", configuration=settings)
    client = OpenFgaClient(
        ClientConfiguration(api_url=url_of(other_origin), credentials=credentials)
    )
    with suppress(ApiException):
        client.list_stores()
    print(status, "→ the other server receives", received)
