"""Hostile streams of bytes by a seed, and what must hold whatever they are.

A stream is a few requests, some of which were changed here and there. `fuzz_in_process` gives
streams to the wire layer without a socket, fast and in pieces; `fuzz_sockets` sends them to a
server. Both count what happened, and list each violation with the seed that repeats it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from mockbroker import Broker, Credentials, Server
from mockbroker.server.application import REQUEST_KEY, Mounts, create_app
from mockbroker.server.pool import Phase
from mockbroker.server.wire import Connection

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "CLIENT",
    "THREADS",
    "MalformedError",
    "Tally",
    "exchange",
    "fuzz_in_process",
    "fuzz_sockets",
    "good_answer",
    "good_request",
    "responses_in",
    "send_streams",
]

Address = tuple[str, int]

SECRET = "s3cr:et-Xy+z/9~Zq"
CLIENT = Credentials("shop", SECRET)
PAIR = base64.b64encode(f"shop:{SECRET}".encode()).decode()
TELLTALES = [text.encode() for text in (SECRET, PAIR, quote(SECRET, safe=""))]
"""What stands in no answer."""
FORM = b"Content-Type: application/x-www-form-urlencoded"
GRANT = b"grant_type=client_credentials"
TOKEN_PATH = b"/auth-broker/request-token"
UNKNOWN_CODING = 501
"""The only status of a server's fault that a peer can bring about (RFC 9112, 6.1)."""
WAIT_SECONDS = 10.0
THREADS = 8
CHECK_EVERY = 200
"""After how many streams a good request must still be answered."""

METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"TRACE", b"CONNECT", b"post", b"G\xffT")
TARGETS = (
    TOKEN_PATH,
    b"/request-token",
    b"/v2/vehicle/1111111111111111",
    b"/v2/a?access_token=TOKEN",
    b"/v2/" + SECRET.encode(),
    b"/x?client_secret=" + SECRET.encode(),
    b"http://h/v2/a",
    b"https://h",
    b"h:443",
    b"*",
    b"//",
    b"/..%2f%00",
    b"/" + b"a" * 300,
)
FIELDS = (
    b"Accept: application/json",
    b"Accept: */*;q=0, text/html",
    b"Authorization: Basic " + PAIR.encode(),
    b"Authorization: Bearer TOKEN",
    b"Authorization: Bearer  TOKEN",
    b"Authorization: bearer TOKEN,TOKEN",
    b"Authorization: " + SECRET.encode(),
    b"Connection: close",
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: h2c",
    b"Content-Length: 0",
    b"Content-Length: 29",
    b"Content-Length: 29, 29",
    b"Content-Length: 99999999",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Expect: 100-continue",
    b"Expect: " + SECRET.encode(),
    b"Host: h",
    b"Host: \xc3\xa4@[::1",
    b"Cookie: " + SECRET.encode(),
    b"X: " + b"a" * 400,
    b"X:" + b" " * 200,
    b"no colon",
    b" folded",
    b": empty",
    FORM,
)
BODIES = (
    GRANT,
    GRANT + b"&client_id=shop&client_secret=" + SECRET.encode(),
    b"grant_type=" + SECRET.encode(),
    b"{ grant_type: client_credentials }",
    json.dumps({"grant_type": "client_credentials", "client_secret": SECRET}).encode(),
    b'{"a":' * 50,
    b"%" * 50,
    b"&=" * 50,
    b"\x00\xff\r\n\r\n",
    b"",
)
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b"%", b"\xff", b"\x0b"),
    *(b"0\r\n\r\n", b"5;x=y\r\nabcde\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"-1\r\n", b"\x16\x03\x01"),
    *(b" HTTP/1.1\r\n", b" HTTP/9.9", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", SECRET.encode()),
    *(field + b"\r\n" for field in FIELDS[:8]),
)


@dataclass
class Tally:
    """What happened: ``requests`` counts responses, ``violations`` what must not have been."""

    streams: int = 0
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what happened elsewhere."""
        self.streams += other.streams
        self.requests += other.requests
        self.statuses += other.statuses
        self.violations += other.violations

    def __str__(self) -> str:
        statuses = ", ".join(
            f"{count} x {status}" for status, count in sorted(self.statuses.items())
        )
        return (
            f"{self.streams} streams, {self.requests} responses ({statuses}), "
            f"{len(self.violations)} violations"
        )


# The streams


def hostile_stream(rng: random.Random, token: bytes) -> bytes:
    """A few requests in one piece, most of them changed here and there."""
    stream = b"".join(_request(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        stream = rng.choice(_CHANGES)(rng, stream)
    return stream.replace(b"TOKEN", token)


def _request(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        method, target, body = b"POST", TOKEN_PATH, GRANT
        fields = [b"Host: h", FIELDS[2], FORM]
    else:
        method, target, body = rng.choice(METHODS), rng.choice(TARGETS), rng.choice(BODIES)
        fields = [b"Host: h", *rng.sample(FIELDS, rng.randrange(5))]
        rng.shuffle(fields)
    if rng.random() < 0.2:
        fields.append(b"Transfer-Encoding: chunked")
        body = _chunked(rng, body)
    elif body or rng.random() < 0.5:
        fields.append(b"Content-Length: %d" % len(body))
    head = b" ".join((method, target, rng.choice((b"HTTP/1.1",) * 8 + (b"HTTP/1.0",))))
    return b"\r\n".join((head, *fields)) + b"\r\n\r\n" + body


def _chunked(rng: random.Random, body: bytes) -> bytes:
    pieces = _pieces(rng, body)
    trailer = rng.choice((b"", b"", b"", b"X: y\r\n"))
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailer + b"\r\n"


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """The bytes cut into a few pieces, none of them empty."""
    cuts = (
        sorted(rng.sample(range(1, len(data)), min(rng.randrange(4), len(data) - 1)))
        if data
        else []
    )
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def _flip(rng: random.Random, stream: bytes) -> bytes:
    at = rng.randrange(len(stream) + 1)
    return stream[:at] + bytes([rng.randrange(256)]) + stream[at + 1 :]


def _insert(rng: random.Random, stream: bytes) -> bytes:
    at = rng.randrange(len(stream) + 1)
    return stream[:at] + rng.choice(TOKENS) * rng.choice((1, 1, 1, 2, 150)) + stream[at:]


def _delete(rng: random.Random, stream: bytes) -> bytes:
    at = rng.randrange(len(stream) + 1)
    return stream[:at] + stream[at + rng.choice((1, 2, 5, 40)) :]


def _repeat(rng: random.Random, stream: bytes) -> bytes:
    at = rng.randrange(len(stream) + 1)
    return stream[:at] + stream[at : at + rng.choice((1, 10, 80))] * 2 + stream[at:]


def _cut(rng: random.Random, stream: bytes) -> bytes:
    return stream[: rng.randrange(len(stream) + 1)]


_CHANGES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    _flip,
    _flip,
    _insert,
    _insert,
    _delete,
    _repeat,
    _cut,
)

# What came back


class MalformedError(Exception):
    """An answer that is no sequence of HTTP responses."""


_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [ -~]*")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t\x20-\x7e\x80-\xff]*")


def responses_in(data: bytes, is_head: Callable[[int], bool]) -> list[int]:
    """The statuses of the final responses, read strictly, and by no code of the broker's.

    ``is_head`` says whether the response of that number answers HEAD. Raises MalformedError.
    """
    statuses: list[int] = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        status_line = _STATUS_LINE.fullmatch(first)
        if not end or status_line is None or not all(map(_FIELD.fullmatch, fields)):
            raise MalformedError(repr(head[:80]))
        status = int(status_line[1])
        if status == 100:
            continue
        lengths = [f.partition(b":")[2] for f in fields if f.lower().startswith(b"content-length:")]
        if len(lengths) != 1:
            raise MalformedError(f"{len(lengths)} Content-Lengths: {head[:80]!r}")
        length = 0 if is_head(len(statuses)) else int(lengths[0])
        if len(data) < length:
            raise MalformedError(f"a body of {len(data)} bytes, not {length}")
        data = data[length:]
        statuses.append(status)
    return statuses


def _problems(answer: bytes, token: bytes, statuses: Sequence[int]) -> Iterator[str]:
    for status in statuses:
        if status >= 500 and status != UNKNOWN_CODING:
            yield f"status {status}"
    if any(telltale in answer for telltale in TELLTALES):
        yield "the answer holds the secret"
    if token in answer:
        yield "the answer holds the token that was presented"


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    """Whatever is logged meanwhile as an error, tracebacks included."""
    errors: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(self.format(record))

    collector = Collector(logging.ERROR)
    logging.getLogger().addHandler(collector)
    try:
        yield errors
    finally:
        logging.getLogger().removeHandler(collector)


# In process


class _Peer:
    """A socket without a network: it has received a stream in pieces, and keeps what is sent."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(reversed(pieces))
        self.sent = bytearray()

    def recv(self, size: int) -> bytes:
        piece = self._pieces.pop() if self._pieces else b""
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, seconds: float) -> None:
        """Nothing takes time here."""

    def setsockopt(self, *options: object) -> None:
        """Nor has it options."""

    def shutdown(self, how: int) -> None:
        """Nor two directions."""


class InProcess:
    """The wire layer with an app and a broker, and no server."""

    def __init__(self, *, strict: bool) -> None:
        self.broker = Broker(credentials=CLIENT, strict=strict)
        mounts = Mounts()
        mounts[""] = self.broker
        self.broker.mounted_at("http://h:80", "")
        self._app = create_app(mounts)
        self._methods: list[str] = []
        self._refused: list[str] = []
        self.token = self._token()

    def _token(self) -> bytes:
        body = self.answer([good_request()]).partition(b"\r\n\r\n")[2]
        return cast("str", json.loads(body)["access_token"]).encode()

    def _count(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        self._methods.append(environ[REQUEST_KEY].method)
        return self._app(environ, start_response)

    def answer(self, pieces: Sequence[bytes]) -> bytes:
        """What the peer gets that sends these pieces and then closes its side."""
        self._methods.clear()
        self._refused.clear()
        peer = _Peer(pieces)
        app: WSGIApplication = self._count
        sock = cast("socket.socket", peer)
        Connection(sock, app, "http://h:80", _ignore_phase, self._refused.append).serve()
        return bytes(peer.sent)

    def try_stream(self, pieces: Sequence[bytes], tally: Tally) -> Iterator[str]:
        """Give the broker a stream, and yield what is wrong with how it took it."""
        stream = b"".join(pieces)
        answer = self.answer(pieces)
        was_head = b"HEAD " in stream and ends_without_body(answer)
        methods = [*self._methods, *(["HEAD"] if was_head else [])]  # of the one refused
        try:
            statuses = responses_in(answer, lambda n: n < len(methods) and methods[n] == "HEAD")
        except MalformedError as malformed:
            yield f"malformed: {malformed}"
            return
        tally.requests += len(statuses)
        tally.statuses.update(statuses)
        expected = len(self._methods) + len(self._refused)
        if len(statuses) != expected or len(self._refused) > 1:
            yield f"{len(statuses)} responses to {expected} requests"
        if stream.strip(b"\r\n") and not statuses:
            yield "no answer"
        yield from _problems(answer, self.token, statuses)


def ends_without_body(answer: bytes) -> bool:
    """Whether the last response is a head without the body that it announces."""
    head, end, body = answer[answer.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    return bool(end) and not body and b"content-length: 0" not in head.lower()


def _ignore_phase(_: Phase) -> None:
    """Nobody waits for this connection's thread."""


def good_request() -> bytes:
    """A request for a token that nothing is wrong with, as bytes."""
    fields = (b"Host: h", FIELDS[2], FORM, b"Content-Length: %d" % len(GRANT))
    head = b"\r\n".join((b"POST " + TOKEN_PATH + b" HTTP/1.1", *fields))
    return head + b"\r\n\r\n" + GRANT


def fuzz_in_process(seed: int, count: int) -> Tally:
    """Give so many streams to the wire layer, to a strict broker and a lenient one in turns."""
    tally = Tally()
    wires = (InProcess(strict=True), InProcess(strict=False))
    with logged_errors() as errors:
        for number in range(count):
            rng = random.Random(f"{seed}/{number}")
            wire = wires[number % 2]
            pieces = _pieces(rng, hostile_stream(rng, wire.token))
            try:
                found = list(wire.try_stream(pieces, tally))
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                found = [f"{type(error).__name__}: {error}"]
            found += errors
            errors.clear()
            tally.streams += 1
            tally.violations += [f"in process, seed {seed}/{number}: {text}" for text in found]
            if number % CHECK_EVERY == 0 and not wire.answer([good_request()]).startswith(
                b"HTTP/1.1 200"
            ):
                tally.violations.append(f"seed {seed}/{number}: a good request fails after it")
    return tally


# On sockets


def fuzz_sockets(seed: int, count: int) -> Tally:
    """Send so many streams to a server of its own, and look at what it leaves behind."""
    broker = Broker(credentials=CLIENT)
    with logged_errors() as errors, Server() as server:
        server.mount(broker)
        tally = send_streams(("127.0.0.1", server.port), seed, count)
    tally.violations += errors
    left = [
        thread.name for thread in threading.enumerate() if thread.name.startswith("mockbroker-")
    ]
    if left:
        tally.violations.append(f"threads left behind: {left}")
    return tally


def send_streams(address: Address, seed: int, count: int) -> Tally:
    """Send so many streams to a broker that knows `CLIENT`, from several threads.

    Each stream has a connection of its own.
    """
    tally = Tally()
    answer = good_answer(address)
    token = cast("str", json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]).encode()
    shares = [range(start, count, THREADS) for start in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for part in pool.map(lambda share: _send_share(address, seed, share, token), shares):
            tally.add(part)
    if not good_answer(address).startswith(b"HTTP/1.1 200"):
        tally.violations.append("on sockets: a good request fails afterwards")
    return tally


def good_answer(address: Address) -> bytes:
    """What a request for a token is answered that nothing is wrong with."""
    return exchange(address, [good_request()], None)


def _send_share(address: Address, seed: int, numbers: Sequence[int], token: bytes) -> Tally:
    tally = Tally()
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        tally.streams += 1
        for text in _send(address, rng, hostile_stream(rng, token), token, tally):
            tally.violations.append(f"on sockets, seed {seed}/{number}: {text}")
        is_time = number % CHECK_EVERY == 0
        if is_time and not good_answer(address).startswith(b"HTTP/1.1 200"):
            tally.violations.append(f"seed {seed}/{number}: a good request fails after it")
    return tally


def _send(
    address: Address, rng: random.Random, stream: bytes, token: bytes, tally: Tally
) -> Iterator[str]:
    aborts = rng.random() < 0.1
    try:
        answer = exchange(address, _pieces(rng, stream), "abort" if aborts else "half-close")
    except TimeoutError:
        yield f"nothing for {WAIT_SECONDS:g} s"
        return
    statuses = [int(s) for s in re.findall(rb"^HTTP/1\.1 ([2-9][0-9]{2}) ", answer, re.MULTILINE)]
    tally.requests += len(statuses)
    tally.statuses.update(statuses)
    if answer and not answer.startswith(b"HTTP/1.1 "):
        yield f"malformed: {answer[:80]!r}"
    if stream.strip(b"\r\n") and not statuses and not aborts:
        yield "no answer"
    yield from _problems(answer, token, statuses)


def exchange(address: Address, pieces: Sequence[bytes], end: str | None) -> bytes:
    """Send the pieces, and return what comes back: all, or one response if ``end`` is None.

    ``end`` says whether the connection is half closed or aborted then. Raises TimeoutError.
    """
    with socket.create_connection(address, timeout=WAIT_SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            if end == "abort":
                return b""
            if end == "half-close":
                sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                answer += data
                if end is None and b"\r\n\r\n{" in answer and answer.endswith(b"}"):
                    break
        return answer
