"""What requests cost after a million tokens and a hundred thousand calls, beside the first ones.

The broker keeps its default number of tokens, so nine in ten are forgotten on the way. The last
requests are measured in turn with those to a new broker: a machine that is slower at the end than
at the beginning makes both slower. It runs in a process of its own, whose peak of memory is that
of the broker and of the interpreter.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.growth import BENCH, call, fetch
from benchmarks.results import MeasureSettings, Table
from benchmarks.throughput import connected_to, read_answer, request_to
from mockbroker import Broker, Credentials

__all__ = ["measure"]

TOKENS, CALLS = 1_000_000, 100_000
HTTP_TOKENS, HTTP_LIMIT = 20_000, 2_000
COMPARED = 1000


@dataclass(frozen=True, slots=True)
class Growth:
    """Median costs in microseconds of the first thousand and the last, and of a new broker's."""

    first: float
    last: float
    new: float

    def row(self, name: str) -> tuple[str | float, ...]:
        """Return the figures as a row of the table."""
        return (name, self.first, self.last, self.new, self.last / self.new, "1.1")


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure the broker without a network, then over a connection with fewer tokens."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        tokens, calls, peak = pool.submit(grown).result()
    columns = ("request", "first 1,000, µs", "last 1,000, µs", "new broker, µs", "ratio", "at most")
    rows = (
        tokens.row(f"token request, of {TOKENS:,}"),
        calls.row(f"call, of {CALLS:,}, after all tokens"),
        over_http().row(f"token request over HTTP, of {HTTP_TOKENS:,}, with {HTTP_LIMIT:,} kept"),
    )
    memory = Table(("memory of the process at its peak, MiB", "at most"), ((peak, "300"),))
    return (Table(columns, rows), memory)


def grown() -> tuple[Growth, Growth, float]:
    """Grow a broker; return the costs of token requests and calls, and the peak in MiB."""
    old, new = Broker(credentials=BENCH), Broker(credentials=BENCH)
    tokens = growth_of(TOKENS, lambda: fetch(old), lambda: fetch(new))
    token, new_token = fetch(old), fetch(new)
    calls = growth_of(CALLS, lambda: call(old, token, 200), lambda: call(new, new_token, 200))
    return tokens, calls, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth_of(count: int, old: Callable[[], object], new: Callable[[], object]) -> Growth:
    """Do it so many times with the old broker, at the end in turn with the new one."""
    for _ in range(COMPARED // 10):  # what is imported or cached late
        old()
    first = [microseconds(old) for _ in range(COMPARED)]
    for _ in range(count - 2 * COMPARED - COMPARED // 10):
        old()
    for _ in range(COMPARED):
        new()
    pairs = [(microseconds(old), microseconds(new)) for _ in range(COMPARED)]
    last, beside = zip(*pairs, strict=True)
    return Growth(*(statistics.median(each) for each in (first, last, beside)))


def over_http() -> Growth:
    """Return the costs of token requests on one connection to a broker that keeps few tokens."""
    old = Broker(credentials=Credentials("shop", "s3cret"), token_limit=HTTP_LIMIT)
    new = Broker(credentials=Credentials("shop", "s3cret"))
    with (
        old.running(),
        new.running(),
        connected_to(old.token_url) as to_old,
        connected_to(new.token_url) as to_new,
    ):
        for_old, for_new = request_to(old.token_url), request_to(new.token_url)

        def ask_old() -> None:
            to_old.sendall(for_old)
            read_answer(to_old)

        def ask_new() -> None:
            to_new.sendall(for_new)
            read_answer(to_new)

        return growth_of(HTTP_TOKENS, ask_old, ask_new)


def microseconds(work: Callable[[], object]) -> float:
    """Return how many microseconds something takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6
