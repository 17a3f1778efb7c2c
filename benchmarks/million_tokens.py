"""What requests cost after a million tokens and a hundred thousand calls, beside the first ones.

The broker keeps its default number of tokens, so nine in ten are forgotten on the way. Most of them
are issued without a network; the compared requests are made over HTTP, and the broker's own work
for them is measured as well. The last requests are measured in turn with those to a new broker: a
machine that is slower at the end than at the beginning makes both slower. It runs in a process of
its own, whose peak of memory is that of the broker and of the interpreter.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.growth import BENCH, call, fetch
from benchmarks.results import MeasureSettings, Table
from benchmarks.throughput import connected_to, read_answer, request_to
from mockbroker import Broker

__all__ = ["measure"]

TOKENS, CALLS = 1_000_000, 100_000
COMPARED = 1000
AT_MOST = "1.1"


@dataclass(frozen=True, slots=True)
class Growth:
    """Median costs in microseconds of the first thousand and the last, and of a new broker's."""

    first: float
    last: float
    new: float

    def row(self, name: str, at_most: str = "") -> tuple[str | float, ...]:
        """Return the figures as a row of the table."""
        return (name, self.first, self.last, self.new, self.last / self.new, at_most)


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        tokens, calls, peak = pool.submit(grown).result()
    columns = ("request", "first 1,000, µs", "last 1,000, µs", "new broker, µs", "ratio", "at most")
    rows = (
        tokens[0].row(f"token request, of {TOKENS:,}", AT_MOST),
        calls[0].row(f"call, of {CALLS:,}, after all tokens", AT_MOST),
        tokens[1].row("token request, the broker's own work"),
        calls[1].row("call, the broker's own work"),
    )
    memory = Table(("memory of the process at its peak, MiB", "at most"), ((peak, "300"),))
    return (Table(columns, rows), memory)


def grown() -> tuple[tuple[Growth, Growth], tuple[Growth, Growth], float]:
    """Grow a broker; return the costs of token requests and of calls, and the peak in MiB.

    Of each pair of costs, the first is over HTTP, the second the broker's own work.
    """
    with _connected() as old, _connected() as new:
        tokens = growth_of(
            TOKENS,
            (old.fetch, lambda: fetch(old.broker)),
            (new.fetch, lambda: fetch(new.broker)),
        )
        token, new_token = fetch(old.broker), fetch(new.broker)
        calls = growth_of(
            CALLS,
            (lambda: old.call(token), lambda: call(old.broker, token, 200)),
            (lambda: new.call(new_token), lambda: call(new.broker, new_token, 200)),
        )
    return tokens, calls, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_Ways = tuple[Callable[[], object], Callable[[], object]]


def growth_of(count: int, old: _Ways, new: _Ways) -> tuple[Growth, Growth]:
    """Do it so many times with the old broker, at the end in turn with the new one.

    Each broker has two ways to do it, over HTTP and without; both are compared.
    """
    for _ in range(COMPARED // 10):  # what is imported or cached late
        for way in (*old, *new):
            way()
    first = [[microseconds(way) for _ in range(COMPARED)] for way in old]
    for number in range(count - 4 * COMPARED - COMPARED // 5):
        # The broker closes connections that are idle for long.
        if number % 10_000 == 0:
            old[0]()
            new[0]()
        old[1]()
    for _ in range(COMPARED):
        new[1]()
    costs = []
    for one, other, before in zip(old, new, first, strict=True):
        pairs = [(microseconds(one), microseconds(other)) for _ in range(COMPARED)]
        last, beside = zip(*pairs, strict=True)
        costs.append(Growth(*(statistics.median(each) for each in (before, last, beside))))
    return costs[0], costs[1]


@dataclass(frozen=True, slots=True)
class _Connected:
    """A broker, and what asks it on one kept connection."""

    broker: Broker
    ask: Callable[[bytes], bytes]

    def fetch(self) -> None:
        """Ask for a token."""
        credentials = f"{BENCH.client_id}:{BENCH.client_secret}"
        assert b"access_token" in self.ask(request_to(self.broker.token_url, credentials))

    def call(self, token: str) -> None:
        """Call the API."""
        parts = urlsplit(self.broker.api_url)
        head = f"GET {parts.path}/vehicle/1?q=1 HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        signed = f"{head}Authorization: Bearer {token}\r\n\r\n"
        assert self.ask(signed.encode()).startswith(b"HTTP/1.1 200")


@contextlib.contextmanager
def _connected() -> Iterator[_Connected]:
    with Broker(credentials=BENCH).running() as broker, connected_to(broker.token_url) as to_broker:

        def ask(request: bytes) -> bytes:
            to_broker.sendall(request)
            return read_answer(to_broker)

        yield _Connected(broker, ask)


def microseconds(work: Callable[[], object]) -> float:
    """Return how many microseconds something takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6
