"""How many token requests a second two workers answer, beside one, with their state in Redis.

It needs redis-server on the PATH. Each round measures one process without a shared state, one
worker and two workers, one after the other, so that a busy moment slows down all of them. Each logs
to a file. The client, Redis and the workers share the machine's processors.
"""

from __future__ import annotations

import contextlib
import selectors
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import MeasureSettings, Table
from benchmarks.throughput import (
    CREDENTIALS,
    START_LIMIT_SECONDS,
    connected_to,
    free_port,
    read_answer,
    request_to,
    running,
)

__all__ = ["measure"]

ROUNDS = 5
SECONDS = 4.0
WARM_UP_SECONDS = 1.0
# Enough that the system does not give nearly all of them to one worker.
CONNECTIONS = 16
AT_LEAST = "1.6"


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a Redis that keeps nothing on the disk, and yield its URL."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("redis-server is not on the PATH; Debian's package redis-server has it")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        options = ("--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no")
        with running(program, *options, "--dir", folder):
            until = time.monotonic() + START_LIMIT_SECONDS
            while not Path(path).exists() and time.monotonic() < until:
                time.sleep(0.05)
            yield f"unix://{path}"


@contextlib.contextmanager
def serving(*options: str) -> Iterator[str]:
    """Run `mockbroker serve` with these options, and yield its token URL."""
    port = free_port()
    command = (sys.executable, "-m", "mockbroker", "serve", "--port", str(port))
    with running(*command, "--client", CREDENTIALS, *options):
        yield f"http://127.0.0.1:{port}/auth-broker/request-token"


def requests_per_second(url: str, seconds: float) -> float:
    """Return how many requests a second are answered on all connections at once.

    One thread serves all connections, because the client shares the processors with the workers.
    """
    request, count = request_to(url), 0
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(connected_to(url))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(request)
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            for key, _ in selector.select():
                if not read_answer(key.data).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"{url} did not answer a token request with 200")
                key.data.sendall(request)
                count += 1
        return count / (time.perf_counter() - began)


def measure(_settings: MeasureSettings) -> tuple[Table, ...]:
    """Measure one process, one worker and two workers in turn."""
    rates: dict[str, list[float]] = {}
    with redis() as url:
        brokers = {
            "one process, state in memory": (),
            "one worker, state in Redis": ("--state", f"{url}?namespace=one"),
            "two workers, state in Redis": ("--state", f"{url}?namespace=two", "--workers", "2"),
        }
        with contextlib.ExitStack() as stack:
            urls = {name: stack.enter_context(serving(*o)) for name, o in brokers.items()}
            for served in urls.values():
                requests_per_second(served, WARM_UP_SECONDS)
            for _ in range(ROUNDS):
                for name, served in urls.items():
                    rates.setdefault(name, []).append(requests_per_second(served, SECONDS))
    medians = {name: statistics.median(each) for name, each in rates.items()}
    _, one, _ = medians.values()
    at_least = ("", "", AT_LEAST)
    rows = tuple(
        (name, rate, rate / one, least)
        for (name, rate), least in zip(medians.items(), at_least, strict=True)
    )
    columns = ("mockbroker serve with", "token requests a second", "beside one worker", "at least")
    return (Table(columns, rows),)
