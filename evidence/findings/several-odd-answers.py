import json
import os
import tempfile
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

warnings.simplefilter("ignore")
os.environ["TMPDIR"] = tempfile.mkdtemp()
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.chdir(os.environ["TMPDIR"])

GOOD = {"access_token": "token-1", "token_type": "bearer", "expires_in": 3599}
ODD = {
    "token_type mac": {"token_type": "mac"},
    "access_token empty": {"access_token": ""},
    "access_token null": {"access_token": None},
    "access_token 12345": {"access_token": 12345},
    "no expires_in": {"expires_in": None},
    "expires_in 0": {"expires_in": 0},
    'expires_in "3599"': {"expires_in": "3599"},
}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        fetched.append(self.path)
        without = {"expires_in"} if members.get("expires_in", 0) is None else set()
        answer = {name: value for name, value in (GOOD | members).items() if name not in without}
        if answer["access_token"] == "token-1":
            answer["access_token"] = f"token-{len(fetched)}"
        self.answer(answer)

    def do_GET(self):
        presented.append(self.headers["Authorization"])
        self.answer({})

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def alf(token_url, client_id):
    from alf.client import Client

    client = Client(token_endpoint=token_url, client_id=client_id, client_secret="s")
    return lambda: client.get(url + "/api")


def authlib(token_url, client_id):
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(
        client_id, "s", token_endpoint=token_url, grant_type="client_credentials"
    )
    session.fetch_token()
    return lambda: session.get(url + "/api")


def confluent_kafka(token_url, client_id):
    from confluent_kafka.schema_registry import SchemaRegistryClient

    bearer = {
        "credentials.source": "OAUTHBEARER",
        "issuer.endpoint.url": token_url,
        "client.id": client_id,
        "client.secret": "s",
        "scope": "read",
        "logical.cluster": "lsrc-1",
        "identity.pool.id": "pool-1",
    }
    prefixed = {f"bearer.auth.{name}": value for name, value in bearer.items()}
    client = SchemaRegistryClient({"url": url, "max.retries": 0, **prefixed})
    return client.get_subjects


def dynamics(token_url, client_id):
    from dynamics.client import DynamicsClient

    client = DynamicsClient(url, token_url, client_id, "s", scope="read")
    return lambda: client.get(query=url + "/api", not_found_ok=True)


def httpx_auth(token_url, client_id):
    import httpx
    from httpx_auth import OAuth2ClientCredentials

    auth = OAuth2ClientCredentials(token_url, client_id, "s")
    return lambda: httpx.get(url + "/api", auth=auth)


def openfga_sdk(token_url, client_id):
    from openfga_sdk.client import ClientConfiguration
    from openfga_sdk.credentials import CredentialConfiguration, Credentials
    from openfga_sdk.sync import OpenFgaClient

    settings = CredentialConfiguration(api_issuer=token_url, client_id=client_id, client_secret="s")
    credentials = Credentials(method="client_credentials", configuration=settings)
    client = OpenFgaClient(ClientConfiguration(api_url=url, credentials=credentials))

    def use():
        try:
            client.list_stores()
        except ValueError as error:  # the answer has no stores
            assert "stores" in str(error)

    return use


def requests_auth(token_url, client_id):
    import requests
    from requests_auth import OAuth2ClientCredentials

    auth = OAuth2ClientCredentials(token_url, client_id, "s")
    return lambda: requests.get(url + "/api", auth=auth, timeout=5)


def requests_oauth2client(token_url, client_id):
    import requests
    from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth

    auth = OAuth2ClientCredentialsAuth(OAuth2Client(token_url, auth=(client_id, "s"), testing=True))
    return lambda: requests.get(url + "/api", auth=auth, timeout=5)


def requests_oauthlib(token_url, client_id):
    from oauthlib.oauth2 import BackendApplicationClient
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
    session.fetch_token(token_url, client_id=client_id, client_secret="s")
    return lambda: session.get(url + "/api")


def spotipy(token_url, client_id):
    from spotipy import MemoryCacheHandler, Spotify
    from spotipy.oauth2 import SpotifyClientCredentials

    SpotifyClientCredentials.OAUTH_TOKEN_URL = token_url
    manager = SpotifyClientCredentials(client_id, "s", cache_handler=MemoryCacheHandler())
    client = Spotify(auth_manager=manager, retries=0)
    client.prefix = url + "/"
    return lambda: client.track("11dFghVXANMlKmJXsNCbNl")


LIBRARIES = (
    alf,
    authlib,
    confluent_kafka,
    dynamics,
    httpx_auth,
    openfga_sdk,
    requests_auth,
    requests_oauth2client,
    requests_oauthlib,
    spotipy,
)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
print("| library | the answer has | two calls, a second apart |\n|-|-|-|")
for library in LIBRARIES:
    for number, (what, members) in enumerate(ODD.items()):
        presented, fetched, seen = [], [], []
        use = None
        for _ in range(2):
            try:
                use = use or library(f"{url}/{library.__name__}/{number}", f"app-{number}")
                use()
                seen.append(f"`Authorization: {presented[-1]}`" if presented[-1] else "unsigned")
            except Exception as error:
                sent = ", unsigned" if presented and presented[-1] is None else ""
                seen.append(f"{type(error).__name__}{sent}")
            time.sleep(1 if "expires_in" in what else 0)
        print(f"| {library.__name__} | {what} | {'; '.join(seen)} |")
