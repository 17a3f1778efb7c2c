import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

from drt.config.models import OAuth2ClientCredentialsAuth
from drt.destinations.auth import AuthHandler


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        scope = asked["scope"][0]
        print("token request for scope", scope)
        answer = {"access_token": f"token-to-{scope}", "token_type": "bearer", "scope": scope}
        body = json.dumps({**answer, "expires_in": 3599}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(ACME_ID="acme", ACME_SECRET="s3cret")
for scope in ("read", "write"):
    auth = OAuth2ClientCredentialsAuth(
        type="oauth2_client_credentials",
        token_url=f"http://127.0.0.1:{server.server_port}/token",
        client_id_env="ACME_ID",
        client_secret_env="ACME_SECRET",
        scope=scope,
    )
    print("destination with scope", scope, "sends", AuthHandler(auth).get_headers())
