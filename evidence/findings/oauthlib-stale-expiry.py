import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
LIFETIMES = {"0": {"expires_in": 0}, "not given": {}}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"access_token": "t0ken", "token_type": "bearer", **lifetime})

    def do_GET(self):
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
for name, members in LIFETIMES.items():
    session = OAuth2Session(client=BackendApplicationClient(client_id="app"))
    lifetime = {"expires_in": 1}
    session.fetch_token(url, client_id="app", client_secret="s")
    print("expires_in 1: the call is answered", session.get(url).status_code)
    time.sleep(2.1)
    lifetime = members
    session.fetch_token(url, client_id="app", client_secret="s")
    try:
        print(f"then expires_in {name}: the call is answered", session.get(url).status_code)
    except Exception as error:
        print(f"then expires_in {name}: the new token's first call raises", type(error).__name__)
