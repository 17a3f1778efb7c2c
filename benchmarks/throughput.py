"""How many token requests a second `mockbroker serve` answers, beside oauth2-mock-server.

That one must be installed by npm. Each server is a program of its own that logs to a file.
One server is measured after the other in each round, so that a busy moment slows down both.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.results import MeasureSettings, Table
from mockbroker.server.ports import listen_at

__all__ = [
    "CREDENTIALS",
    "connected_to",
    "free_port",
    "measure",
    "read_answer",
    "request_to",
    "running",
]

ROUNDS = 5
REQUESTS = 2000
WARM_UP = 200
CONNECTIONS = (1, 8)
AT_LEAST = {1: "2", 8: "3"}
CREDENTIALS = "shop:s3cret"
BODY = b"grant_type=client_credentials&scope="
START_LIMIT_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@contextlib.contextmanager
def running(*command: str) -> Iterator[None]:
    """Run a server with its output in a file, and end it."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """Return the number of a port that was free a moment ago."""
    with listen_at("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def mockbroker() -> Iterator[str]:
    """Run `mockbroker serve`, and yield its token URL."""
    port = free_port()
    options = ("--port", str(port), "--client", CREDENTIALS)
    with running(sys.executable, "-m", "mockbroker", "serve", *options):
        yield f"http://127.0.0.1:{port}/auth-broker/request-token"


def oauth2_mock_server(folder: Path) -> Callable[[], contextlib.AbstractContextManager[str]]:
    """Return what runs the server that was installed below the folder."""
    script = folder / "node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs"

    @contextlib.contextmanager
    def run() -> Iterator[str]:
        port = free_port()
        with running("node", str(script), "-a", "127.0.0.1", "-p", str(port)):
            yield f"http://127.0.0.1:{port}/token"

    return run


def request_to(url: str, credentials: str = CREDENTIALS) -> bytes:
    """Return a token request as the bytes of HTTP/1.1."""
    parts = urlsplit(url)
    basic = base64.b64encode(credentials.encode()).decode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {basic}\r\n"
        "Accept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


def connected_to(url: str) -> socket.socket:
    """Return a connection to the server, once it listens. Raises OSError if it never does."""
    parts = urlsplit(url)
    until = time.monotonic() + START_LIMIT_SECONDS
    while True:
        try:
            return socket.create_connection((parts.hostname, parts.port))
        except OSError:  # noqa: PERF203 - the server may not listen yet
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def send_all(url: str, count: int) -> None:
    """Send requests one after the other on one connection. Raises RuntimeError if one fails."""
    request = request_to(url)
    with connected_to(url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            connection.sendall(request)
            answer = read_answer(connection)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{url} answered {answer[:15]!r}")


def read_answer(connection: socket.socket) -> bytes:
    """Return one response. Raises ConnectionError if the server closes the connection before."""
    answer = b""
    while True:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("the server closed the connection")
        answer += received
        head, end, body = answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and length is not None and len(body) >= int(length[1]):
            return answer


def requests_per_second(url: str, connections: int) -> float:
    """Return how many requests a second the server answers on so many connections."""
    share = REQUESTS // connections
    threads = [threading.Thread(target=send_all, args=(url, share)) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return share * connections / (time.perf_counter() - began)


def measure(settings: MeasureSettings) -> tuple[Table, ...]:
    """Measure both servers in turn, one connection and eight."""
    servers = {
        "mockbroker serve": mockbroker,
        "oauth2-mock-server": oauth2_mock_server(settings.npm),
    }
    rates: dict[tuple[str, int], list[float]] = {}
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(run()) for name, run in servers.items()}
        for url in urls.values():
            send_all(url, WARM_UP)
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for name, url in urls.items():
                    rate = requests_per_second(url, connections)
                    rates.setdefault((name, connections), []).append(rate)
    rows = []
    for connections in CONNECTIONS:
        own, other = (statistics.median(rates[name, connections]) for name in servers)
        rows.append((connections, own, other, own / other, AT_LEAST[connections]))
    columns = ("connections", *servers, "ratio", "at least")
    return (Table(columns, tuple(rows)),)
