import json
import os
import tempfile
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

warnings.simplefilter("ignore")
os.environ["TMPDIR"] = tempfile.mkdtemp()  # where the library keeps its cache

from dynamics.client import DynamicsClient  # noqa: E402


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
    return {"access_token": "token-1", "token_type": "bearer", "expires_in": 3599}


def call(name):
    client = DynamicsClient(url, url + "/token", name, "s3cret", scope="s")
    try:
        client.get(query=url + "/api", not_found_ok=True)
        print(name, "presents", presented[-1])
    except Exception as error:
        print(name, "gets", repr(error))
    called.set()
    finish.wait()


finish = Event()
for name in ("app-a", "app-b"):
    called = Event()
    Thread(target=call, args=(name,)).start()
    called.wait()
finish.set()
