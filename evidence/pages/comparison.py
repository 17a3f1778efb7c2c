"""The table of comparison.md: the answers of other fake token endpoints to the same requests.

`tox -e comparison` installs them and runs this module; it needs Node.js. Each server is started as
its documentation shows, and receives one valid request and several invalid ones.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import requests
import responses
from pytest_httpserver import HTTPServer

from evidence.files import DOCS, write_text
from mockbroker import Broker

__all__ = ["main"]

PAGE = DOCS / "comparison.md"
BEGIN, END = "<!-- the table, by tox -e comparison -->", "<!-- the end of the table -->"
FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
AS_WELL = "client_id=shop&client_secret=s3cr%3Aet%2F%2B%3D"
JSON = '{"grant_type": "client_credentials"}'
GOOD = ("shop", "s3cr:et/+=")
_TIMEOUT = 10


@dataclass(frozen=True)
class Probe:
    """A token request; ``words`` say what is wrong with it."""

    words: str
    method: str = "POST"
    pair: tuple[str, str] | None = GOOD
    body: str = GRANT
    content_type: str = FORM
    suffix: str = ""

    def send(self, url: str) -> requests.Response:
        """Send the request and return the response."""
        headers = {"Content-Type": self.content_type}
        if self.pair:
            text = base64.b64encode(":".join(self.pair).encode() + self.suffix.encode()).decode()
            headers["Authorization"] = f"Basic {text}"
        return requests.request(self.method, url, data=self.body, headers=headers, timeout=_TIMEOUT)


PROBES = (
    Probe("nothing", body=GRANT),
    Probe("a wrong secret", pair=("shop", "wrong")),
    Probe("no Authorization header", pair=None),
    Probe("the secret ends in a line feed", suffix="\n"),
    Probe("asked by GET", method="GET"),
    Probe("a body of JSON", body=JSON, content_type="application/json"),
    Probe("no grant_type", body="scope=a"),
    Probe("grant_type twice", body=f"{GRANT}&{GRANT}"),
    Probe("the credentials in the body as well", body=f"{GRANT}&{AS_WELL}"),
)


@contextlib.contextmanager
def mockbroker() -> Iterator[str]:
    """Run a broker of mockbroker."""
    broker = Broker()
    broker.register(*GOOD)
    with broker.running():
        yield broker.token_url


@contextlib.contextmanager
def oauth2_mock_server() -> Iterator[str]:
    """Run oauth2-mock-server, from npm; it registers no clients."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.argv[1], "node_modules", ".bin", "oauth2-mock-server")
    command = [str(program), "-a", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603 - as pinned
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/token"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens at port {port}")


ANSWER = {"access_token": "t0ken", "expires_in": 3599, "token_type": "bearer"}


@contextlib.contextmanager
def httpserver() -> Iterator[str]:
    """Run pytest-httpserver, configured to answer a POST with a token."""
    with HTTPServer() as server:
        server.expect_request("/token", method="POST").respond_with_json(ANSWER)
        yield server.url_for("/token")


@contextlib.contextmanager
def patched() -> Iterator[str]:
    """Patch requests with responses, configured to answer a POST with a token."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add(responses.POST, "http://broker.example/token", json=ANSWER)
        yield "http://broker.example/token"


SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "mockbroker": mockbroker,
    "oauth2-mock-server": oauth2_mock_server,
    "pytest-httpserver": httpserver,
    "responses": patched,
}


def seen(probe: Probe, url: str) -> str:
    """Send a request and return its result in one or two words."""
    try:
        answer = probe.send(url)
    except requests.RequestException:
        return "refused"  # responses raises for a request that it was not configured for
    if answer.status_code == requests.codes.ok:
        return "a token"
    return str(answer.status_code)


def table() -> str:
    """Return the table, in Markdown."""
    columns = {}
    for name, server in SERVERS.items():
        with server() as url:
            columns[name] = [seen(probe, url) for probe in PROBES]
    lines = [f"| wrong with the request | {' | '.join(columns)} |", "|-" * (len(columns) + 1) + "|"]
    for number, probe in enumerate(PROBES):
        lines.append(f"| {probe.words} | {' | '.join(c[number] for c in columns.values())} |")
    return "\n".join(lines)


def versions() -> str:
    """Return a sentence with the compared releases."""
    lock = Path(sys.argv[1], "node_modules", "oauth2-mock-server", "package.json")
    npm = re.search(r'"version": "([^"]+)"', lock.read_text(encoding="utf-8"))
    python = (f"{name} {version(name)}" for name in ("pytest-httpserver", "responses"))
    return f"Seen with oauth2-mock-server {npm[1] if npm else '?'}, {', '.join(python)}."


def main() -> None:
    """Write the table into the page. The argument is the folder with node_modules."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n\n{table()}\n\n{versions()}\n\n{END}{after}"
    write_text(PAGE, text)


if __name__ == "__main__":
    main()
