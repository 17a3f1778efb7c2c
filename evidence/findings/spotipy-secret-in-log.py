import base64
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from spotipy import MemoryCacheHandler
from spotipy.oauth2 import SpotifyClientCredentials


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = b'{"access_token": "token-1", "token_type": "bearer", "expires_in": 3599}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
records = []
handler = logging.Handler()
handler.emit = lambda record: records.append(record.getMessage())
logging.basicConfig(level=logging.DEBUG, handlers=[handler])
SpotifyClientCredentials.OAUTH_TOKEN_URL = f"http://127.0.0.1:{server.server_port}/token"
manager = SpotifyClientCredentials("app", "s3cret", cache_handler=MemoryCacheHandler())
manager.get_access_token(as_dict=False)
encoded = base64.b64encode(b"app:s3cret").decode()
quoted = [line.partition(" with ")[2] for line in records if encoded in line]
print("the debug log has", quoted, "which is", base64.b64decode(encoded))
