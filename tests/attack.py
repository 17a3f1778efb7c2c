"""A long attack on the broker, bounded in count and time, on the loopback interface only.

Run it with `tox -e attack`, or `python -m tests.attack --help` for smaller ones. It prints a
table, and exits with 1 if anything happened that must not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mockbroker.broker.tokens import TOKEN_LIMIT
from tests.wire_fuzz import (
    CLIENT,
    THREADS,
    Tally,
    exchange,
    fuzz_in_process,
    fuzz_sockets,
    good_answer,
    good_request,
    send_streams,
)

Address = tuple[str, int]

SHARD = 2_500
"""Streams for each seed: a failure is repeated by its seed alone, and soon."""
ON_SOCKETS_SHARE = 0.1
GOOD_REQUESTS = 50
IDLE_CONNECTIONS = 300
DESCRIPTOR_LIMITS = (20, 24, 32, 64, 128)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
SERVE = (
    *(sys.executable, "-m", "mockbroker", "serve", "--port", "0"),
    *("--client", f"{CLIENT.client_id}:{CLIENT.client_secret}"),
)
KINDS = {
    "silent": b"",
    "half a head": b"POST /auth-broker/request-token HTTP/1.1\r\nHo",
    "half a body": b"POST /v2/a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
}
TLS_KINDS = {"silent": b"", "half a TLS handshake": HELLO}
FILL_BATCH = 100
"""Requests that are sent at once to fill the broker."""
GROWTH_LIMIT = 1.2
"""How many times the memory of the beginning a broker may have after a soak."""
SETTLE_SECONDS = 3.0


@dataclass
class Row:
    """A line of the table: what was tried, what happened, and what should not have."""

    tried: str
    happened: str
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Served:
    """A broker in a process of its own, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    address: Address
    output: Path
    ca_file: str | None

    @property
    def tracebacks(self) -> int:
        """How many tracebacks it printed."""
        return self.output.read_text(errors="replace").count("Traceback")


@contextmanager
def serving(*options: str, descriptors: int | None = None) -> Iterator[Served]:
    """Run `mockbroker serve` meanwhile, with that limit of descriptors."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*SERVE, *options],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        try:
            banner = _banner(output)
            if descriptors is not None:
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
            port, ca_file = re.search(r":(\d+)/", banner), re.search(r"CA +(\S+)", banner)
            address = ("127.0.0.1", int(port[1]) if port else 0)
            yield Served(process, address, output, ca_file[1] if ca_file else None)
        finally:
            process.terminate()
            process.wait(20)


def _banner(output: Path) -> str:
    deadline = time.monotonic() + 20
    while "curl" not in (text := output.read_text(errors="replace")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the broker does not start: {text}")
        time.sleep(0.05)
    return text


# The attacks


def million(count: int) -> Iterator[Row]:
    """Mutated streams, in as many processes as there are processors."""
    on_sockets = int(count * ON_SOCKETS_SHARE)
    yield _fuzzed("in process", fuzz_in_process, 0, count - on_sockets)
    yield _fuzzed("on sockets", fuzz_sockets, 1_000_000, on_sockets)


def _fuzzed(place: str, fuzz: Callable[[int, int], Tally], first_seed: int, count: int) -> Row:
    total = Tally()
    seeds = range(first_seed, first_seed + max(1, count // SHARD))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for tally in pool.map(partial(_shard, fuzz), seeds):
            total.add(tally)
    statuses = ", ".join(f"{n:,} x {status}" for status, n in sorted(total.statuses.items()))
    return Row(
        f"{total.streams:,} hostile streams {place}",
        f"{total.requests:,} responses: {statuses}",
        total.violations,
    )


def _shard(fuzz: Callable[[int, int], Tally], seed: int) -> Tally:
    return fuzz(seed, SHARD)


def half_open(count: int) -> Iterator[Row]:
    """Connections that say nothing, or half of something, while a good client asks for tokens."""
    count = min(count, _raise_limit() - 200)
    for tls, kinds in ((False, KINDS), (True, TLS_KINDS)):
        for name, first in kinds.items():
            yield _held_open(f"{name}, {'TLS' if tls else 'plain'}", first, count, tls=tls)


def _held_open(name: str, first: bytes, count: int, *, tls: bool) -> Row:
    with serving(*(["--tls"] if tls else [])) as served, contextlib.ExitStack() as stack:
        opened = _open(stack, served.address, count, first)
        row = _ask_meanwhile(served, f"{opened:,} connections held open: {name}")
        if opened < count:
            row.violations.append(f"{name}: only {opened} of {count} connections came about")
        return row


def _open(stack: contextlib.ExitStack, address: Address, count: int, first: bytes) -> int:
    opened = 0
    for _ in range(count):
        with contextlib.suppress(OSError):
            sock = stack.enter_context(socket.create_connection(address, timeout=10))
            opened += 1
            sock.sendall(first)
    return opened


def _ask_meanwhile(served: Served, tried: str) -> Row:
    """Ask for tokens as a good client does, and say how it fared."""
    times, failed = [], 0
    for _ in range(GOOD_REQUESTS):
        began = time.perf_counter()
        answered = _is_answered(served)
        times.append(time.perf_counter() - began)
        failed += not answered
    slowest, usual = max(times) * 1000, statistics.median(times) * 1000
    happened = (
        f"{GOOD_REQUESTS - failed} of {GOOD_REQUESTS} good requests answered, "
        f"median {usual:.0f} ms, slowest {slowest:.0f} ms"
    )
    violations = [f"{tried}: {failed} good requests failed"] if failed else []
    if served.tracebacks:
        violations.append(f"{tried}: {served.tracebacks} tracebacks")
    return Row(tried, happened, violations)


def _is_answered(served: Served) -> bool:
    try:
        if served.ca_file is None:
            return good_answer(served.address).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=served.ca_file)
        with (
            socket.create_connection(served.address, timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            sock.sendall(b"GET /v2/a HTTP/1.1\r\nHost: h\r\n\r\n")
            return sock.recv(65536).startswith(b"HTTP/1.1 401")
    except OSError:
        return False


def few_descriptors() -> Iterator[Row]:
    """A broker that may open only so many files, and idle connections that take them all."""
    for limit in DESCRIPTOR_LIMITS:
        with serving(descriptors=limit) as served:
            with contextlib.ExitStack() as stack:
                _open(stack, served.address, IDLE_CONNECTIONS, b"")
                tried = f"{limit} descriptors, {IDLE_CONNECTIONS} idle connections"
                row = _ask_meanwhile(served, tried)
            if not _is_answered(served):
                row.violations.append(f"{tried}: no answer after the others have left")
            yield row


def soak(seconds: float) -> Iterator[Row]:
    """Hostile streams at one broker for so long: what grows?"""
    with serving() as served:
        began, total, seed = time.monotonic(), Tally(), 2_000_000
        _fill(served.address)
        total.add(send_streams(served.address, seed, SHARD))
        before = _size(served)
        while time.monotonic() - began < seconds:
            seed += 1
            total.add(send_streams(served.address, seed, SHARD))
        time.sleep(SETTLE_SECONDS)  # for connections that linger
        after = _size(served)
        tracebacks = served.tracebacks
    violations = total.violations
    memory, descriptors = after[0] / before[0], after[2] - before[2]
    if memory > GROWTH_LIMIT:
        violations.append(f"soak: {memory:.2f} times the memory")
    if tracebacks:
        violations.append(f"soak: {tracebacks} tracebacks")
    if descriptors > 0:
        violations.append(f"soak: {descriptors} more descriptors")
    minutes = (time.monotonic() - began) / 60
    yield Row(
        f"{minutes:.1f} minutes at one broker, {total.streams:,} hostile streams",
        f"memory {memory:.2f} times that of the beginning, {after[1]} threads, "
        f"{descriptors:+d} descriptors",
        violations,
    )


def _fill(address: Address) -> None:
    """Have the broker issue as many tokens as it remembers, so that it has grown up."""
    batch = [good_request() * FILL_BATCH]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(
            lambda _: exchange(address, batch, "half-close"), range(TOKEN_LIMIT // FILL_BATCH)
        )
        issued = sum(answer.count(b"HTTP/1.1 200") for answer in answers)
    if issued < TOKEN_LIMIT:
        raise RuntimeError(f"{issued} tokens issued, not {TOKEN_LIMIT}")


def _size(served: Served) -> tuple[int, int, int]:
    """Kibibytes of memory, threads and descriptors."""
    process = Path(f"/proc/{served.process.pid}")
    found = re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())
    threads, files = (len(list((process / part).iterdir())) for part in ("task", "fd"))
    return int(found[1]) if found else 0, threads, files


def _raise_limit() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main(arguments: Sequence[str] | None = None) -> None:
    """Attack, print the table, and exit with 1 if there is a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, metavar="COUNT")
    parser.add_argument("--half-open", type=int, default=5_000, metavar="COUNT")
    parser.add_argument("--soak-seconds", type=float, default=180.0, metavar="SECONDS")
    parser.add_argument("--only", choices=("descriptors", "half-open", "soak", "requests"))
    options = parser.parse_args(arguments)
    attacks = {
        "descriptors": few_descriptors(),
        "half-open": half_open(options.half_open),
        "soak": soak(options.soak_seconds),
        "requests": million(options.requests),
    }
    violations: list[str] = []
    print("| tried | happened | violations |\n|-|-|-|", flush=True)
    for name, attack in attacks.items():
        for row in attack if options.only in {None, name} else ():
            print(f"| {row.tried} | {row.happened} | {len(row.violations)} |", flush=True)
            violations += row.violations
    print(*violations[:100], sep="\n", file=sys.stderr)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
