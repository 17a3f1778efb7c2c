import base64
import json
import os
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from spotipy import Spotify
from spotipy.oauth2 import SpotifyClientCredentials

os.chdir(tempfile.mkdtemp())  # where the library keeps its .cache


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


def token_for(request):
    client_id = base64.b64decode(request.headers["Authorization"][6:]).decode().partition(":")[0]
    print("token request of", client_id)
    return {"access_token": f"token-of-{client_id}", "token_type": "bearer", "expires_in": 3599}


SpotifyClientCredentials.OAUTH_TOKEN_URL = url + "/token"
for client_id in ("alice", "bob"):
    spotify = Spotify(auth_manager=SpotifyClientCredentials(client_id, f"secret-of-{client_id}"))
    spotify.prefix = url + "/"
    spotify.track("11dFghVXANMlKmJXsNCbNl")
    print(client_id, "presents", presented[-1])
