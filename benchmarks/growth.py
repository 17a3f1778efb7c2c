"""What a request costs, and how much memory the broker takes, after many tokens.

The broker is asked without a network, so
that nothing but its own work is in the figures; each is the median of 200 requests. With a journal
file, each exchange is also written as a line of JSON and printed as a line for a terminal.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import MeasureSettings, Table
from mockbroker import Broker, Credentials, Exchange
from mockbroker.cli.console import log_lines
from mockbroker.cli.journal_file import JournalFile
from mockbroker.model.messages import Headers, Request

__all__ = ["BENCH", "call", "fetch", "measure"]

REQUESTS = 200
COUNTS = (10, 100, 1_000, 10_000, 50_000)
ORIGIN = "http://127.0.0.1"
BENCH = Credentials("bench", "a-secret-of-some-length")
TOKEN_REQUEST = Request(
    "POST",
    "/auth-broker/request-token",
    Headers.of(
        [
            ("Authorization", "Basic YmVuY2g6YS1zZWNyZXQtb2Ytc29tZS1sZW5ndGg="),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ]
    ),
    b"grant_type=client_credentials",
)


def fetch(broker: Broker) -> str:
    """Ask for a token."""
    response = broker.handle(TOKEN_REQUEST, ORIGIN).response
    token: str = json.loads(response.body)["access_token"]
    return token


def call(broker: Broker, token: str, status: int) -> None:
    """Call the API."""
    headers = Headers.of([("Authorization", f"Bearer {token}"), ("User-Agent", "bench/1")])
    response = broker.handle(Request("GET", "/v2/vehicle/1?q=1", headers), ORIGIN).response
    assert response.status == status


def microseconds(work: Callable[[], object]) -> float:
    """The median time of something, in microseconds."""
    costs = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        work()
        costs.append(time.perf_counter() - began)
    return statistics.median(costs) * 1e6


def costs(broker: Broker) -> Iterator[float]:
    """Of a token request, of a call with a token, of one with garbage around the token."""
    yield microseconds(lambda: fetch(broker))
    token = fetch(broker)
    yield microseconds(lambda: call(broker, token, 200))
    yield microseconds(lambda: call(broker, f"garbage{token}trailing", 401))


@contextmanager
def journal_file(broker: Broker) -> Iterator[None]:
    """Write and print each exchange, as `mockbroker serve --journal` does."""
    with tempfile.TemporaryDirectory() as directory:
        file = JournalFile(Path(directory) / "journal.jsonl", broker.masked)

        def answered(exchange: Exchange) -> None:
            file.write(exchange)
            log_lines(exchange, broker.masked)

        leave = broker.journal.subscribe(answered)
        yield
        leave()
        file.close()


def resident_mib() -> float:
    """How much memory this process takes, in MiB; NaN on a system without /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure one broker as its tokens grow in number."""
    broker = Broker(credentials=BENCH)
    kinds = ("token request", "call", "garbage around a token")
    columns = ("tokens", *kinds, *(f"{kind}, journal file" for kind in kinds), "memory, MiB")
    rows = []
    for count in COUNTS:
        while len(broker.token_issued_values) < count:
            fetch(broker)
        plain = list(costs(broker))
        with journal_file(broker):
            written = list(costs(broker))
        rows.append((count, *plain, *written, resident_mib()))
    return (Table(columns, tuple(rows)),)
