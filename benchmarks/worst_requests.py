"""What the costliest requests cost the broker, in processor time, on this machine.

Each request has at most 1 MiB and is of a kind
that some server takes long for. The broker keeps a journal file and prints its log, to nowhere.
The figures hold the client's share, in the same process: it sends bytes and reads the answer.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import MeasureSettings, Table
from mockbroker import Credentials
from mockbroker.cli.serve import listening
from mockbroker.cli.serve_options import ServeSettings

__all__ = ["measure", "processor_seconds", "serving_broker", "worst_requests"]

ROUNDS = 3
COSTLIEST = 10
BODY_BYTES = 1024 * 1024
LINE_BYTES = 60_000
CLIENT = Credentials("bench", "a-secret-of-some-length")
TOKEN_PATH = "/auth-broker/request-token"  # noqa: S105 - a path, no password
API_PATH = "/v2/vehicle/1"
PROOF = base64.b64encode(b"bench:a-secret-of-some-length")
FORM = b"application/x-www-form-urlencoded"
PATTERNS = {
    "percent signs": b"%",
    "escapes": b"%41",
    "escapes beyond ASCII": b"%C3%A4",
    "escapes in between": b"%41a",
    "ampersands": b"&",
    "equals signs": b"=",
    "plus signs": b"+",
    "zero bytes": b"\0",
    "bytes beyond ASCII": b"\xff",
    "parameters": b"a=b&",
    "grant types": b"grant_type=a&",
    "secrets": b"client_secret=a&",
    "names of secrets": b"client_secret=",
    "JSON secrets": b'"client_secret":"',
    "quoted secrets": b"client_secret%22%20",
    "tokens": b"access_token=a&",
    "backslashes": b"\\",
    "quotes": b'"',
    "blanks": b" ",
    "letters": b"a",
    "JSON escapes": b"\\u0041",
    "mixed escapes": b"%5C\\u0025&#37;41",
    "nested percent signs": b"%25252525",
    "entities": b"&#65;",
    "nested entities": b"&amp;amp;amp;#65;",
    "long Base64": b"QUJD",
    "short Base64": b"QUJDREVG.",
    "Base64 of escapes": base64.b64encode(b"%41a-b%42") + b".",
    "long hexadecimal": b"41",
    "short hexadecimal": b"4142434445464748.",
    "UTF-8 in Base64": base64.b64encode("ä".encode() * 3),
    "secrets in Base64": PROOF + b".",
}
BODIES = {
    "deep objects": b'{"a":' * (BODY_BYTES // 5),
    "deep lists": b'{"a":' + b"[" * (BODY_BYTES - 10),
    "a million digits": b'{"a":' + b"1" * (BODY_BYTES - 10) + b"}",
    "a million decimals": b'{"a":1.' + b"1" * (BODY_BYTES - 10) + b"}",
    "many members": b"{" + b'"a":1,' * (BODY_BYTES // 6 - 2) + b'"a":1}',
    "a long JSON string": b'{"client_secret":"' + b"\\u0041" * (BODY_BYTES // 6 - 4) + b'"}',
    "an open literal": b"{grant_type=" + b"a" * (BODY_BYTES // 2) + b" " * (BODY_BYTES // 2 - 20),
}
AUTHORIZATIONS = {
    "long Base64": b"QUJD" * (LINE_BYTES // 4),
    "URL-safe Base64": b"-_AA" * (LINE_BYTES // 4),
    "Base64 twice": base64.b64encode(base64.b64encode(b"a" * (LINE_BYTES // 2))),
    "Base64 of escapes": base64.b64encode(b"bench:" + b"%41" * (LINE_BYTES // 5)),
    "padding": b"=" * LINE_BYTES,
    "escaped line feeds": b"\\n" * (LINE_BYTES // 2),
    "bytes beyond ASCII": b"\xff" * LINE_BYTES,
}


def worst_requests() -> dict[str, bytes]:
    """Every request, by a name that says what is costly in it."""
    return dict((*_bodies(), *_targets(), *_fields(), *_chunks()))


def _bodies() -> Iterator[tuple[str, bytes]]:
    repeated = {name: pattern * (BODY_BYTES // len(pattern)) for name, pattern in PATTERNS.items()}
    for name, body in (repeated | BODIES).items():
        for endpoint, path in (("token", TOKEN_PATH), ("API", API_PATH), ("elsewhere", "/else")):
            yield f"body, {endpoint}: {name}", message(path, body=body)


def _targets() -> Iterator[tuple[str, bytes]]:
    for name, pattern in PATTERNS.items():
        if pattern in {b" ", b"\0"}:
            continue
        noise = (pattern * (LINE_BYTES // len(pattern))).decode("latin-1")
        for endpoint, path in (("token", TOKEN_PATH), ("API", API_PATH), ("elsewhere", "/else")):
            yield f"query, {endpoint}: {name}", message(f"{path}?{noise}")
            yield f"path, {endpoint}: {name}", message(f"{path}/{noise}")
    yield "path: slashes", message("/" * LINE_BYTES)


def _fields() -> Iterator[tuple[str, bytes]]:
    for name, value in AUTHORIZATIONS.items():
        yield f"Basic: {name}", message(TOKEN_PATH, b"Authorization: Basic " + value, proof=False)
        yield f"Bearer: {name}", message(API_PATH, b"Authorization: Bearer " + value, proof=False)
        yield f"no scheme: {name}", message(TOKEN_PATH, b"Authorization: " + value, proof=False)
    for field in (b"Accept", b"Content-Type", b"Host", b"Cookie", b"Connection", b"Expect"):
        for name, pattern in (("commas", b"a/b,"), ("semicolons", b";"), ("digits", b"1")):
            value = pattern * (LINE_BYTES // len(pattern))
            yield f"{field.decode()}: {name}", message(TOKEN_PATH, field + b": " + value)
    for name, end in (("", b""), (" before a zero byte", b"\0"), (" before a tab", b"\x0b")):
        yield f"blanks{name}", message(TOKEN_PATH, b"A:" + b" " * LINE_BYTES + end)
    yield "many fields", message(TOKEN_PATH, *[b"a:b"] * (LINE_BYTES // 5))
    yield "many lines of one field", message(TOKEN_PATH, b"a:b" + b"\r\n b" * (LINE_BYTES // 4))
    for name, pattern in PATTERNS.items():
        if pattern not in {b" ", b"\0"}:
            value = pattern * (LINE_BYTES // len(pattern))
            yield f"a field: {name}", message("/else", b"a:" + value)
            yield f"ninety fields: {name}", message("/else", *[b"a:" + value[:600]] * 90)


def _chunks() -> Iterator[tuple[str, bytes]]:
    start = message(TOKEN_PATH, b"Transfer-Encoding: chunked", length=False)
    yield "chunks of one byte", start + b"1\r\na\r\n" * (BODY_BYTES // 6) + b"0\r\n\r\n"
    blanks = b" " * LINE_BYTES
    yield "a chunk extension", start + b"1;" + blanks + b"\nx\r\na\r\n0\r\n\r\n"
    yield "blanks in trailers", start + b"0\r\nA:" + blanks + b"\x0b\r\n\r\n"
    yield "many trailers", start + b"0\r\n" + b"a:b\r\n" * (LINE_BYTES // 5) + b"\r\n"


def message(
    path: str, *fields: bytes, body: bytes = b"", proof: bool = True, length: bool = True
) -> bytes:
    """A request as bytes, with a Content-Length if ``length``, and with Basic if ``proof``."""
    named = {field.partition(b":")[0] for field in fields}
    lines = [
        b"POST " + path.encode("latin-1") + b" HTTP/1.1",
        *([] if b"Host" in named else [b"Host: broker"]),
        *([] if b"Content-Type" in named else [b"Content-Type: " + FORM]),
        *([b"Authorization: Basic " + PROOF] if proof else []),
        *([b"Content-Length: %d" % len(body)] if length else []),
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def serving_broker() -> Iterator[tuple[str, int]]:
    """The address of a broker that serves as `mockbroker serve` does, its output thrown away.

    It has issued a token, which is looked for in all that it is sent.
    """
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        settings = ServeSettings(
            host="127.0.0.1",
            port=0,
            clients=(CLIENT,),
            expires_in=None,
            profile="autograb",
            lenient=False,
            tls=False,
            journal=Path(directory) / "journal.jsonl",
            config=None,
        )
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        _, server = stack.enter_context(listening(settings))
        with server:
            address = ("127.0.0.1", server.port)
            processor_seconds(address, message(TOKEN_PATH, body=b"grant_type=client_credentials"))
            yield address


def processor_seconds(address: tuple[str, int], request: bytes) -> tuple[float, bytes]:
    """The processor time that a request takes until the connection ends, and the answer to it."""
    with socket.create_connection(address, timeout=60) as sock:
        began = time.process_time()
        answer = b""
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while data := sock.recv(65536):
                answer += data
        return time.process_time() - began, answer


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure every request; return the costliest ones, and how many there were."""
    with serving_broker() as address:
        processor_seconds(address, message(API_PATH))  # what is imported late is imported now
        costs = {
            name: statistics.median(processor_seconds(address, raw)[0] for _ in range(ROUNDS))
            for name, raw in worst_requests().items()
        }
    costliest = sorted(costs.items(), key=lambda item: -item[1])[:COSTLIEST]
    rows = tuple((f"{name}", seconds * 1000, "200") for name, seconds in costliest)
    return (Table((f"the costliest of {len(costs)} requests", "ms", "at most"), rows),)
