"""One HTTP connection: bytes to requests as they came, and replies to bytes, faults included."""

from __future__ import annotations

import contextlib
import io
import math
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from http.client import responses
from typing import TYPE_CHECKING, Any, Union
from urllib.parse import unquote_to_bytes

import h11

from mockbroker.answers import NO_STORE, Reply, error_description, json_response
from mockbroker.app import BODY_LIMIT_BYTES, ORIGIN_KEY, REPLY_KEY, REQUEST_KEY
from mockbroker.clock import real_seconds
from mockbroker.faults import Manner
from mockbroker.pool import Phase
from mockbroker.spec.messages import Headers, Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Connection"]

HEADER_LIMIT_BYTES = 64 * 1024
HEADER_LIMIT = 100
REQUEST_LIMIT_SECONDS = 30.0
IDLE_LIMIT_SECONDS = 120.0
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
DRIP_PIECES = 20
BODILESS = {204, 304}
_ABSOLUTE_FORM = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
# in words of our own, because those of the parser quote the request, secrets included
_UNREADABLE = {
    431: f"the head of the request is longer than {HEADER_LIMIT_BYTES} bytes",
    501: "the request has a Transfer-Encoding other than chunked",
}
_TLS_HELLO = b"\x16\x03"
ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER on and 0 s: closing sends RST."""

_Event = Union[h11.Request, h11.Data, h11.EndOfMessage, h11.ConnectionClosed]


class _Refused(Exception):  # noqa: N818 - how a bad request ends, caught in this module
    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def _too_long() -> _Refused:
    return _Refused(413, f"the body is longer than {BODY_LIMIT_BYTES} bytes")


def _too_slow() -> _Refused:
    return _Refused(408, f"the request was not complete after {REQUEST_LIMIT_SECONDS:g} s")


class Connection:
    """A connection served by one thread from its first byte to its last.

    ``on_phase`` is told when the connection begins to wait for a request, when the first byte of
    one has come, and when it is read; ``on_refused`` why something cannot be read.
    """

    def __init__(
        self,
        sock: socket.socket,
        app: WSGIApplication,
        origin: str,
        on_phase: Callable[[Phase], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._sock = sock
        self._app = app
        self._origin = origin
        self._on_phase = on_phase
        self._on_refused = on_refused
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT_BYTES)
        self._deadline: float | None = None

    def serve(self) -> None:
        """Answer requests until one side closes the connection."""
        with contextlib.suppress(OSError):
            while self._serve_one():
                self._http.start_next_cycle()

    def _serve_one(self) -> bool:
        try:
            request = self._read_request()
        except (_Refused, h11.RemoteProtocolError) as error:
            self._refuse(error)
            return False
        if request is None:
            return False
        self._on_phase(Phase.ANSWERING)
        reply = self._ask_app(request)
        self._deliver(request, reply)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    # Reading

    def _read_request(self) -> Request | None:
        self._deadline = None
        head = self._next_event()
        if not isinstance(head, h11.Request):
            return None
        fields = head.headers.raw_items()
        if len(fields) > HEADER_LIMIT:
            raise _Refused(431, f"more than {HEADER_LIMIT} header fields")
        if {b"transfer-encoding", b"content-length"} <= {name.lower() for name, _ in fields}:
            # RFC 9112, 6.3: "ought to be handled as an error"
            raise _Refused(400, "there are both a Transfer-Encoding and a Content-Length")
        _must_fit(head)
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        headers = Headers.of((n.decode("latin-1"), v.decode("latin-1")) for n, v in fields)
        method, target = head.method.decode("latin-1"), _origin_form(head.target.decode("latin-1"))
        return Request(method, target, headers, self._read_body())

    def _read_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := self._next_event(), h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT_BYTES:
                raise _too_long()
        return bytes(body)

    def _next_event(self) -> _Event | None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(self._receive())
            elif event is h11.PAUSED:
                return None
            else:
                return event  # type: ignore[return-value]  # sentinels are dealt with above

    def _receive(self) -> bytes:
        if self._deadline is None and not self._http.trailing_data[0]:
            return self._await_request()
        if self._deadline is None:  # a part of the request came with the one before
            self._on_phase(Phase.READING)
            self._deadline = real_seconds() + REQUEST_LIMIT_SECONDS
        remaining = self._deadline - real_seconds()
        if remaining <= 0:
            raise _too_slow()
        self._sock.settimeout(remaining)
        try:
            return self._sock.recv(65536)
        except TimeoutError:
            raise _too_slow() from None

    def _await_request(self) -> bytes:
        self._sock.settimeout(IDLE_LIMIT_SECONDS)
        self._on_phase(Phase.IDLE)
        data = self._sock.recv(65536)
        if data.startswith(_TLS_HELLO):
            raise _Refused(400, "this is TLS, and the port speaks plain HTTP: write http://")
        self._on_phase(Phase.READING)
        self._deadline = real_seconds() + REQUEST_LIMIT_SECONDS
        return data

    # Asking the app

    def _ask_app(self, request: Request) -> Reply:
        environ = self._environ(request)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return io.BytesIO().write

        result: Iterable[bytes] = self._app(environ, start_response)
        body = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        status, headers = started[-1]
        response = Response(int(status[:3]), Headers.of(headers), body)
        reply: Reply = environ.get(REPLY_KEY) or Reply(response=response)
        return replace(reply, response=response)

    def _environ(self, request: Request) -> dict[str, Any]:
        scheme, _, authority = self._origin.partition("://")
        name, _, port = authority.rpartition(":")
        return {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "QUERY_STRING": request.query,
            "REQUEST_URI": request.target,
            "SERVER_NAME": name,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": request.headers.get("Host") or authority,
            "CONTENT_TYPE": request.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scheme,
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            REQUEST_KEY: request,
            ORIGIN_KEY: self._origin,
        }

    # Answering

    def _deliver(self, request: Request, reply: Reply) -> None:
        self._sock.settimeout(REQUEST_LIMIT_SECONDS)
        if reply.delay_seconds:
            reply.released.wait(reply.delay_seconds)
        if reply.manner is Manner.STALL:
            reply.released.wait(reply.spread_seconds)
            raise ConnectionAbortedError
        if reply.manner is Manner.RESET:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            raise ConnectionAbortedError
        self._write(request.method, reply)

    def _write(self, method: str, reply: Reply) -> None:
        response = reply.response
        has_body = method != "HEAD" and response.status not in BODILESS
        body = response.body if has_body else b""
        data = self._http.send(_head(response)) or b""
        if reply.manner is Manner.CUT_SHORT:
            self._sock.sendall(data + body[: len(body) // 2])
            raise ConnectionAbortedError
        data += self._http.send(h11.Data(data=body)) or b"" if body else b""
        data += self._http.send(h11.EndOfMessage()) or b""
        if reply.manner is Manner.DRIP:
            self._drip(data, reply)
        else:
            self._sock.sendall(data)

    def _drip(self, data: bytes, reply: Reply) -> None:
        size = max(1, math.ceil(len(data) / DRIP_PIECES))
        for start in range(0, len(data), size):
            if start:
                reply.released.wait(reply.spread_seconds / DRIP_PIECES)
            self._sock.sendall(data[start : start + size])

    def _send(self, event: h11.InformationalResponse) -> None:
        self._sock.sendall(self._http.send(event) or b"")

    def _refuse(self, error: _Refused | h11.RemoteProtocolError) -> None:
        """Answer what is no HTTP, or too much of it, and hang up."""
        if isinstance(error, _Refused):
            status, text = error.status, str(error)
        else:
            status = error.error_status_hint
            text = _UNREADABLE.get(status, "the request is no HTTP that can be read")
        self._on_refused(f"{status}: {text}")
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        members = {"error": "invalid_request", "error_description": error_description(text)}
        response = json_response(status, members, *NO_STORE, ("Connection", "close"))
        length = ("Content-Length", str(len(response.body)))
        response = replace(response, headers=Headers((*response.headers, length)))
        self._sock.settimeout(REQUEST_LIMIT_SECONDS)
        self._write("POST", Reply(response=response))
        self._linger()

    def _linger(self) -> None:
        """Read on for a moment: closing with bytes unread would reset what was just sent."""
        self._sock.shutdown(socket.SHUT_WR)
        until, unread = real_seconds() + LINGER_SECONDS, LINGER_BYTES
        while unread > 0 and (remaining := until - real_seconds()) > 0:
            self._sock.settimeout(remaining)
            data = self._sock.recv(65536)
            if not data:
                return
            unread -= len(data)


def _must_fit(head: h11.Request) -> None:
    """Raise _Refused if the body that is announced is too long, before any of it comes."""
    announced = dict(head.headers).get(b"content-length", b"0")
    if int(announced) > BODY_LIMIT_BYTES:
        raise _too_long()


def _origin_form(target: str) -> str:
    """The target without scheme and authority, which a client may send (RFC 9112, 3.2.2)."""
    if not _ABSOLUTE_FORM.match(target):
        return target
    path = _ABSOLUTE_FORM.sub("", target)
    return path if path.startswith("/") else f"/{path}"


def _head(response: Response) -> h11.Response:
    fields = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in response.headers]
    return h11.Response(
        status_code=response.status,
        headers=fields,
        reason=responses.get(response.status, "").encode(),
    )
