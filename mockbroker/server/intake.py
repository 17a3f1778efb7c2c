"""Reading requests from a connection, in bounded memory and bounded processor time.

The parser is h11. Two of its regular expressions take quadratic time on long runs of blanks. Each
chunk costs as much as a small request. Therefore this module checks the bytes first: h11 gets a
head only once it is complete and within the limits, and a chunked body in small pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, Union

import h11

from mockbroker.broker.clock import real_seconds
from mockbroker.model.messages import Headers, Request
from mockbroker.server.application import BODY_LIMIT_BYTES
from mockbroker.server.head_flaws import flaw_in_head, is_host
from mockbroker.server.plain_messages import PlainHead, plain_head
from mockbroker.server.pool import Phase

__all__ = ["Refused", "RequestReader", "read_message"]

# Apache's default is 100 fields as well, so clients that work with common servers stay below these
# limits. docs/reliability.md lists each limit and the status of its refusal.
HEADER_LIMIT_BYTES = 64 * 1024
HEADER_LINE_LIMIT = 100
BLANK_LIMIT = 128
"""How many blanks may stand in a row in a head, or in the framing of a chunked body."""
FRAMING_LIMIT_BYTES = 64 * 1024
"""How long the framing of a chunked body may be: sizes, extensions, line ends, trailers."""
PIECE_BYTES = 256
"""How much of a chunked body h11 gets at a time; it bounds the lines of the framing, too."""
REQUEST_LIMIT_SECONDS = 30.0
"""How long a whole request may take. A limit for each receive would let a peer send a byte now and
then, and hold its thread for hours."""
IDLE_LIMIT_SECONDS = 120.0
"""How long a connection may wait for its next request; clients keep idle connections in pools."""
RECEIVE_BYTES = 64 * 1024

# RFC 9112, 2.2: "a recipient MAY recognize a single LF as a line terminator". h11 does so as well;
# the two must agree on where a head ends.
_HEAD_END = re.compile(rb"\n\r?\n")
_MANY_BLANKS = re.compile(rb"[ \t]{%d}" % (BLANK_LIMIT + 1))
# Scheme and host compare without case (RFC 9110, 4.2.3); the path that follows does not.
_ABSOLUTE_FORM = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
# A TLS record of type handshake (22), version 3.x (RFC 8446, 5.1). No HTTP method begins so.
_TLS_HELLO = b"\x16\x03"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# The parser's own messages quote the request, which may hold secrets.
_MALFORMED = "malformed HTTP request"
_UNREADABLE = {
    431: f"the head of the request is longer than {HEADER_LIMIT_BYTES} bytes",
    501: "the request has a Transfer-Encoding other than chunked",
}

_BodyEvent = Union[h11.Data, h11.EndOfMessage]


class Refused(Exception):  # noqa: N818 - how an invalid request ends; never leaves the package
    """A request that the server rejects itself; the message quotes nothing of the request.

    ``status`` and ``headers`` are those of the response that reports it.
    """

    def __init__(self, status: int, message: str, *headers: tuple[str, str]) -> None:
        self.status = status
        self.headers = headers
        super().__init__(message)


class Source(Protocol):
    """The part of a socket that a reader needs."""

    def recv(self, limit_bytes: int, /) -> bytes:
        """Return the next bytes; empty at the end of the stream."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Set how long `recv` may wait."""

    def sendall(self, data: bytes, /) -> None:
        """Send an interim response."""


class _Message:
    """A source that has one message, and then ends; nothing is waited for or sent."""

    def __init__(self, message: bytes) -> None:
        self._unread = message

    def recv(self, limit_bytes: int, /) -> bytes:
        """Return the next bytes of the message."""
        piece, self._unread = self._unread[:limit_bytes], self._unread[limit_bytes:]
        return piece

    def settimeout(self, seconds: float | None, /) -> None:
        """Do nothing: all bytes are there."""

    def sendall(self, data: bytes, /) -> None:
        """Do nothing: the peer of a stored message waits for no interim response."""


def read_message(message: bytes) -> Request:
    """Return the request that one complete HTTP message holds, as a connection would read it.

    Raises Refused if the server would reject it.
    """
    request = RequestReader(_Message(message), lambda _: None).next_request()
    if request is None:
        raise Refused(400, "the message is empty")
    return request


class RequestReader:
    """A reader of the requests of one connection. Not thread-safe.

    ``on_phase`` is called when the connection begins to wait for a request, and when the first
    byte of a request arrives.
    """

    def __init__(self, sock: Source, on_phase: Callable[[Phase], None]) -> None:
        self._parser: h11.Connection | None = None
        self._plain_body: bytes | None = None
        self._sock = sock
        self._on_phase = on_phase
        self._head = bytearray()
        self._unread = b""  # received, and not given to the parser yet
        self._deadline: float | None = None

    @property
    def is_head_request(self) -> bool:
        """Whether the request, malformed or not, begins with the method HEAD.

        Read from the bytes, because the parser may have failed before it knew the method.
        """
        return self._head.startswith(b"HEAD ")

    @property
    def is_plain(self) -> bool:
        """Whether the latest request was so plain that it was read without h11."""
        return self._plain_body is not None

    @property
    def parser(self) -> h11.Connection:
        """The h11 connection that has read the latest request.

        A plain request is read again if it is asked for.
        """
        if self._parser is None:
            self._parser = _parser()
            self._parser.receive_data(bytes(self._head) + (self._plain_body or b""))
            while not isinstance(self._parser.next_event(), h11.EndOfMessage):
                pass
        return self._parser

    @property
    def has_unread(self) -> bool:
        """Whether bytes have arrived after the latest request.

        They belong to another request, or to the rest of one that was rejected.
        """
        return bool(self._unread or self._trailing_data())

    def _trailing_data(self) -> bytes:
        """Return what h11 has received and not parsed."""
        return b"" if self._parser is None else self._parser.trailing_data[0]

    def receive_at_hand(self) -> bool:
        """Receive what has arrived on a socket that is ready; return False at its end.

        Raises OSError if the connection is broken.
        """
        received = self._sock.recv(RECEIVE_BYTES)
        self._unread += received
        return bool(received)

    def plain_head_at_hand(self) -> PlainHead | None:
        """Return the head of the next request if all of that has been received and it is plain.

        `next_request` then returns the request without a look at the socket.
        """
        end = _HEAD_END.search(self._unread)
        if end is None:
            return None
        raw = self._unread[: end.end()]
        head = None if _flaw_of(raw) else plain_head(raw)
        is_whole = head is not None and end.end() + head.length <= len(self._unread)
        return head if is_whole else None

    def next_request(self) -> Request | None:
        """Wait for the next request and return it; return None if the peer closed the connection.

        Raises Refused if the request is malformed, too long or too slow. Raises OSError if the
        connection breaks or is idle for `IDLE_LIMIT_SECONDS`.
        """
        self._unread = self._trailing_data() + self._unread
        self._parser = self._plain_body = self._deadline = None
        if not self._read_head():
            return None
        try:
            return self._read_plainly() or self._parse(_parser())
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            # `from None`: h11's exception quotes the request, and a logged traceback would show its
            # secrets.
            raise Refused(status, _UNREADABLE.get(status) or _malformed(self._head)) from None

    # The head

    def _read_head(self) -> bool:
        """Read until the head is complete; return False if the peer closes before it begins."""
        self._head = bytearray()
        received, self._unread = self._unread, b""
        while True:
            # An end of the head may lie across two receives: search again from two bytes before.
            searched = max(0, len(self._head) - 2)
            self._head += received
            if not searched:
                _strip_line_ends(self._head)
            # Searching from the beginning each time would take quadratic time for a head of single
            # bytes.
            if end := _HEAD_END.search(self._head, searched):
                self._unread = bytes(self._head[end.end() :])
                del self._head[end.end() :]
                if flaw := _flaw_of(self._head):
                    raise flaw
                return True
            if len(self._head) > HEADER_LIMIT_BYTES:
                raise Refused(431, _UNREADABLE[431])
            received = self._receive()
            if not received:
                if self._head:
                    raise Refused(400, "the connection ended in the middle of a request")
                return False

    def _read_plainly(self) -> Request | None:
        """Return the request without h11; None if that has to read it, or to reject it."""
        head = plain_head(self._head)
        if head is None or head.length > BODY_LIMIT_BYTES:
            return None
        body = bytearray(self._unread)
        while len(body) < head.length:
            received = self._receive()
            body += received
            if not received:
                # h11 says what is missing.
                self._unread = bytes(body)
                return None
        self._plain_body, self._unread = bytes(body[: head.length]), bytes(body[head.length :])
        return Request(head.method, head.target, head.headers, self._plain_body)

    def _parse(self, parser: h11.Connection) -> Request:
        """Parse the complete head with h11, then read the body.

        Raises Refused as soon as the head shows that the body would be rejected.
        """
        self._parser = parser
        parser.receive_data(bytes(self._head))
        head = parser.next_event()
        if not isinstance(head, h11.Request):  # pragma: no cover - the head was complete
            raise Refused(400, _MALFORMED)
        # The raw items keep order, case and repetitions. Clauses such as basic.scheme judge all
        # three.
        fields = head.headers.raw_items()
        # One value for each name suffices here: h11 has rejected contradictory framing fields.
        named = {name.lower(): value for name, value in fields}
        method, target = head.method.decode("latin-1"), head.target.decode("latin-1")
        target = _origin_form(method, target)
        if not is_host(named.get(b"host", b"")):
            raise Refused(400, _malformed(self._head))
        if {b"transfer-encoding", b"content-length"} <= named.keys():
            # RFC 9112, 6.3: "ought to be handled as an error"
            raise Refused(400, "there are both a Transfer-Encoding and a Content-Length")
        if int(named.get(b"content-length", b"0")) > BODY_LIMIT_BYTES:
            raise _too_long()  # before the body arrives
        # RFC 9110, 10.1.1: a client that sent Expect may wait for 100 before it sends the body.
        # curl waits one second for large bodies, which would look like a slow client.
        if self.parser.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self._sock.sendall(self.parser.send(go_on) or b"")
        headers = Headers.of((n.decode("latin-1"), v.decode("latin-1")) for n, v in fields)
        is_chunked = b"transfer-encoding" in named
        body = self._read_chunked() if is_chunked else self._read_plain(named)
        return Request(method, target, headers, body)

    # The body

    def _read_plain(self, named: dict[bytes, bytes]) -> bytes:
        """Read a body whose length the head states; empty without a length (RFC 9112, 6.3)."""
        # h11 gets at most `length` bytes. What follows belongs to the next request, whose head is
        # checked before h11 sees it.
        length, body = int(named.get(b"content-length", b"0")), bytearray()
        while isinstance(event := self._next_event(length - len(body)), h11.Data):
            body += event.data
        return bytes(body)

    def _read_chunked(self) -> bytes:
        """Read a chunked body. Raises Refused beyond the limits of body and framing."""
        body, given_bytes = bytearray(), 0
        while True:
            event = self.parser.next_event()
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                # h11 returns data as it arrives: what it keeps is a line of the framing.
                framing = self.parser.trailing_data[0]
                if _MANY_BLANKS.search(framing, max(0, len(framing) - PIECE_BYTES - BLANK_LIMIT)):
                    raise _too_blank()
                given_bytes += self._give(PIECE_BYTES)
            if len(body) > BODY_LIMIT_BYTES:
                raise _too_long()
            # All that is not body is framing. The piece that h11 has not returned yet is in the
            # difference as well, so the limit is larger by one piece.
            if given_bytes - len(body) > FRAMING_LIMIT_BYTES + PIECE_BYTES:
                text = f"the framing of the chunked body is longer than {FRAMING_LIMIT_BYTES} bytes"
                raise Refused(413, text)

    def _next_event(self, limit_bytes: int) -> _BodyEvent:
        """Return the next event of a plain body; give the parser more bytes until there is one."""
        while (event := self.parser.next_event()) is h11.NEED_DATA:
            self._give(limit_bytes)
        return event  # type: ignore[return-value]  # a body has no other events

    def _give(self, limit_bytes: int) -> int:
        """Give the parser at most so many bytes; return how many, 0 at the end of the stream."""
        received = self._unread or self._receive()
        piece, self._unread = received[:limit_bytes], received[limit_bytes:]
        # An empty piece means the end of the stream to h11, which raises if the body is incomplete.
        self.parser.receive_data(piece)
        return len(piece)

    # The socket

    def _receive(self) -> bytes:
        """Return the next bytes; empty at the end of the stream. Raises Refused at the deadline."""
        # Between requests the peer may be idle for long. Once a request has begun, one deadline
        # holds for the whole of it.
        if self._deadline is None and not self._head:
            return self._await_request()
        if self._deadline is None:  # a part of this request arrived together with the last one
            self._begin()
        remaining = (self._deadline or 0.0) - real_seconds()
        if remaining <= 0:
            raise _too_slow()
        self._sock.settimeout(remaining)
        try:
            return self._sock.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise _too_slow() from None

    def _await_request(self) -> bytes:
        """Wait for the first bytes of the next request, which starts the deadline."""
        self._sock.settimeout(IDLE_LIMIT_SECONDS)
        self._on_phase(Phase.IDLE)
        # A timeout is an OSError here: it ends the connection without a response. A 408 to a client
        # that sends nothing could be read as the response to its next request.
        data = self._sock.recv(RECEIVE_BYTES)
        if data.startswith(_TLS_HELLO):
            raise Refused(400, "this is TLS, and the port speaks plain HTTP: write http://")
        self._begin()
        return data

    def _begin(self) -> None:
        """Start the deadline of a request whose first bytes have arrived."""
        self._on_phase(Phase.READING)
        self._deadline = real_seconds() + REQUEST_LIMIT_SECONDS


def _parser() -> h11.Connection:
    """Return an h11 parser for one request, without bytes."""
    # A new parser for each request, not `start_next_cycle`: h11 would parse bytes that it still has
    # before this module has checked them.
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT_BYTES)


def _strip_line_ends(head: bytearray) -> None:
    """Remove the line ends before a request line, in place."""
    # RFC 9112, 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the
    # request-line"; old clients send one after a body
    del head[: len(head) - len(head.lstrip(b"\r\n"))]


def _malformed(head: bytearray) -> str:
    """Return the message on a request that h11 rejects, with the flaw if it is known."""
    flaw = flaw_in_head(bytes(head))
    return f"{_MALFORMED}: {flaw}" if flaw else _MALFORMED


def _flaw_of(head: bytes | bytearray) -> Refused | None:
    """Return the refusal of a head that would cost h11 too much processor time."""
    if len(head) > HEADER_LIMIT_BYTES:
        return Refused(431, _UNREADABLE[431])
    if head.count(b"\n") - 2 > HEADER_LINE_LIMIT:  # 2: the request line and the empty line
        return Refused(431, f"more than {HEADER_LINE_LIMIT} header fields")
    if _MANY_BLANKS.search(head):
        return _too_blank()
    return None


def _origin_form(method: str, target: str) -> str:
    """Return the target without scheme and authority, which a client may send (RFC 9112, 3.2.2).

    Raises Refused if the target has another form, such as the * of an OPTIONS request.
    """
    if method == "CONNECT":
        # A client sends CONNECT if a proxy variable points to the broker by mistake.
        raise Refused(405, "CONNECT is for proxies, and this is none", ("Allow", _METHODS))
    if absolute := _ABSOLUTE_FORM.match(target):
        target = target[absolute.end() :]
        return target if target.startswith("/") else f"/{target}"
    if not target.startswith("/"):
        raise Refused(400, "the request target is invalid; it begins with / or http://")
    return target


def _too_long() -> Refused:
    return Refused(413, f"the body is longer than {BODY_LIMIT_BYTES} bytes")


def _too_blank() -> Refused:
    return Refused(400, f"more than {BLANK_LIMIT} blanks follow each other in a header field")


def _too_slow() -> Refused:
    return Refused(408, f"the request was not complete after {REQUEST_LIMIT_SECONDS:g} s")
