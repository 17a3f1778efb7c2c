import base64
import os
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

from delta_sharing._internal_auth import ClientSecretOAuthClient
from spotipy import MemoryCacheHandler
from spotipy.oauth2 import SpotifyClientCredentials

os.environ["HOME"] = tempfile.mkdtemp()
NETRC = Path.home() / ".netrc"


class TokenEndpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        credentials = base64.b64decode(self.headers["Authorization"].removeprefix("Basic "))
        print("the broker receives", credentials.decode(), parse_qs(form))
        body = b'{"access_token": "token-1", "token_type": "bearer", "expires_in": 3599}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/token"

SpotifyClientCredentials.OAUTH_TOKEN_URL = url


def delta_sharing():
    ClientSecretOAuthClient(url, "app", "s3cret", scope="read").client_credentials()


def spotipy():
    cache = MemoryCacheHandler()
    SpotifyClientCredentials("app", "s3cret", cache_handler=cache).get_access_token(as_dict=False)


for library in (delta_sharing, spotipy):
    print(library.__name__)
    library()
    NETRC.write_text("default login intruder password else\n")
    print("with a ~/.netrc:")
    library()
    NETRC.unlink()
print("delta_sharing with the scope a+b&audience=other:")
ClientSecretOAuthClient(url, "app", "s3cret", scope="a+b&audience=other").client_credentials()
