import json
import os
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from openfga_sdk.client import ClientConfiguration
from openfga_sdk.credentials import CredentialConfiguration, Credentials
from openfga_sdk.sync import OpenFgaClient


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(token_for(self))

    def do_GET(self):
        presented.append(self.headers["Authorization"])
        self.answer({})

    def answer(self, members):
        body = json.dumps(members).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
presented = []


def token_for(_):
    print("a token is issued, for one second")
    return {"access_token": "token-1", "token_type": "bearer", "expires_in": 1}


settings = CredentialConfiguration(
    api_issuer=url + "/token", client_id="app", client_secret="s3cret"
)
credentials = Credentials(method="client_credentials", configuration=settings)
client = OpenFgaClient(ClientConfiguration(api_url=url, credentials=credentials))
# A time zone whose clocks go back an hour (as in autumn) two seconds from now.
change = datetime.now(timezone.utc) + timedelta(hours=1, seconds=2)
os.environ["TZ"] = f"STD0DST-1,0/0,{change.timetuple().tm_yday - 1}/{change:%H:%M:%S}"
time.tzset()
for seconds in (0, 4):
    time.sleep(seconds)
    with suppress(ValueError):  # the answer has no stores
        client.list_stores()
    print(f"{seconds} s later the client presents", presented[-1])
