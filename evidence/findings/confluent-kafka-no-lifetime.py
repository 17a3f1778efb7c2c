import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from confluent_kafka.schema_registry import SchemaRegistryClient


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
    return lifetime | {"access_token": "token-1", "token_type": "bearer"}


for lifetime in ({}, {"expires_in": 0}):
    client = SchemaRegistryClient(
        {
            "url": url,
            "bearer.auth.credentials.source": "OAUTHBEARER",
            "bearer.auth.issuer.endpoint.url": url + "/token",
            "bearer.auth.client.id": "app",
            "bearer.auth.client.secret": "s3cret",
            "bearer.auth.scope": "read",
            "bearer.auth.logical.cluster": "lsrc-1",
            "bearer.auth.identity.pool.id": "pool-1",
        }
    )
    client.get_subjects()
    try:
        client.get_subjects()
    except KeyError as error:
        print(f"answer with {lifetime or 'no lifetime'}: the second call raises KeyError", error)
