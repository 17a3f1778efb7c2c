"""What a request costs, by server: the broker's app under each, on this machine.

It needs werkzeug, cheroot and waitress. The load is that of a contract run: small token requests
one after the other over a kept connection and over a new one each, and eight connections at once.
The client is a bare socket, the same for all, in this process, so that its cost is in every figure.
"""

from __future__ import annotations

import base64
import logging
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cheroot.wsgi
import waitress.server  # type: ignore[import-untyped]
import werkzeug.serving

from benchmarks.results import MeasureSettings, Table
from mockbroker import Broker, Credentials, Server
from mockbroker.server.application import Mounts, create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["measure"]

REQUESTS = 500
ROUNDS = 5
PARALLEL = 8
CREDENTIALS = Credentials("bench", "secret")
BODY = b"grant_type=client_credentials"
Address = tuple[str, int]


def message(*, keep: bool) -> bytes:
    """A token request as bytes."""
    proof = base64.b64encode(b"bench:secret").decode()
    head = (
        "POST /auth-broker/request-token HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Basic {proof}\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(BODY)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + BODY


def exchange(sock: socket.socket, request: bytes) -> bool:
    """Send a request, read its whole answer, and say whether the server keeps the connection.

    Raises RuntimeError if the status is not 200.
    """
    sock.sendall(request)
    data = sock.recv(65536)
    while b"\r\n\r\n" not in data or len(data) < _length(data):
        more = sock.recv(65536)
        if not more:
            break
        data += more
    if not data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        raise RuntimeError(data[:200])
    return b"connection: close" not in data.lower()


def _length(data: bytes) -> int:
    head, _, _ = data.partition(b"\r\n\r\n")
    lower = head.lower()
    declared = lower.partition(b"content-length:")[2].split(b"\r\n")[0]
    return len(head) + 4 + int(declared)


def kept(address: Address, count: int) -> None:
    """Requests one after the other over one connection, or as few as the server allows."""
    done = 0
    while done < count:
        with socket.create_connection(address) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_still = True
            while open_still and done < count:
                open_still = exchange(sock, message(keep=True))
                done += 1


def fresh(address: Address, count: int) -> None:
    """Requests one after the other, each over a connection of its own."""
    for _ in range(count):
        with socket.create_connection(address) as sock:
            exchange(sock, message(keep=False))


def parallel(address: Address, count: int) -> None:
    """The same number of requests, spread over eight kept connections at once."""
    share = count // PARALLEL
    threads = [threading.Thread(target=kept, args=(address, share)) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


LOADS: dict[str, Callable[[Address, int], None]] = {
    "kept connection": kept,
    "new connections": fresh,
    "8 in parallel": parallel,
}


def broker_app() -> WSGIApplication:
    """The app with one broker, for servers that are not ours."""
    mounts = Mounts()
    mounts[""] = Broker(credentials=CREDENTIALS)
    return create_app(mounts)


@contextmanager
def own() -> Iterator[Address]:
    """The server that mockbroker uses: h11, threads, and one loop for plain requests."""
    with Server() as server:
        server.mount(Broker(credentials=CREDENTIALS))
        yield "127.0.0.1", server.port


@contextmanager
def with_werkzeug() -> Iterator[Address]:
    """Werkzeug's development server, threaded, HTTP/1.1 so that it keeps connections."""
    handler = type(
        "Quiet",
        (werkzeug.serving.WSGIRequestHandler,),
        {"protocol_version": "HTTP/1.1", "log_request": lambda *_: None},
    )
    server = werkzeug.serving.make_server(
        "127.0.0.1", 0, broker_app(), threaded=True, request_handler=handler
    )
    with running(server.serve_forever, server.shutdown):
        yield "127.0.0.1", server.server_port
    server.server_close()


@contextmanager
def with_cheroot() -> Iterator[Address]:
    """Cheroot with its usual ten threads."""
    server = cheroot.wsgi.Server(("127.0.0.1", 0), broker_app())
    server.prepare()
    with running(server.serve, server.stop):
        yield "127.0.0.1", server.bind_addr[1]


@contextmanager
def with_waitress() -> Iterator[Address]:
    """Waitress with ten threads."""
    server: Any = waitress.server.create_server(broker_app(), host="127.0.0.1", port=0, threads=10)
    with running(server.run, lambda: server.trigger.pull_trigger(server.close)):
        yield "127.0.0.1", server.effective_port


@contextmanager
def running(serve: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """Run a server in a thread while the block lasts."""
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(2)


SERVERS = {
    "mockbroker": own,
    "cheroot": with_cheroot,
    "waitress": with_waitress,
    "werkzeug": with_werkzeug,
}


def medians_of(requests: int) -> dict[str, dict[str, float]]:
    """Median microseconds for a request, by server and load; rounds take turns."""
    times: dict[str, dict[str, list[float]]] = {s: {n: [] for n in LOADS} for s in SERVERS}
    for round_number in range(ROUNDS + 1):
        for server, serve in SERVERS.items():
            with serve() as address:
                for load, run in LOADS.items():
                    began = time.perf_counter()
                    run(address, requests)
                    if round_number:  # the first round warms up
                        spent = (time.perf_counter() - began) / requests
                        times[server][load].append(spent * 1e6)
    return {s: {n: statistics.median(t) for n, t in of.items()} for s, of in times.items()}


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure every server with every load."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    medians = medians_of(REQUESTS)
    own = medians["mockbroker"]
    columns = ("server", *(title for load in LOADS for title in (load, "beside mockbroker")))
    rows = tuple(
        (server, *(cell for load in LOADS for cell in (of[load], of[load] / own[load])))
        for server, of in medians.items()
    )
    return (Table(columns, rows),)
