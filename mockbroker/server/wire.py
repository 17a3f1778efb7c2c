"""One HTTP connection: it passes requests to the application, and sends replies and faults.

Faults act here, below HTTP: a reset, a cut or a slow answer is done to the socket.
"""

from __future__ import annotations

import contextlib
import io
import math
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import h11

from mockbroker.broker.answers import NO_STORE, Reply, error_description, json_response
from mockbroker.broker.clock import real_seconds
from mockbroker.broker.faults import Manner
from mockbroker.model.content_codings import CODINGS, allows_coding
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.server.application import ORIGIN_KEY, REPLY_KEY, REQUEST_KEY
from mockbroker.server.intake import Refused, RequestReader
from mockbroker.server.plain_messages import plain_response
from mockbroker.server.pool import Phase, Turn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Connection"]

SEND_LIMIT_SECONDS = 30.0
"""How long one send may wait for a peer that does not read."""
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
"""How long, and how much, the server discards after a response; see `Connection._linger`."""
# The most pieces of a dripping answer; one of fewer bytes has a piece for each byte.
DRIP_PIECES = 20
# Several, because a client that reads the first chunk only would find all of it in one.
CHUNKS = 3
BODILESS = {204, 304}
"""Statuses whose responses have no body (RFC 9110, 15.3.5 and 15.4.5)."""
ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER on and 0 s: closing sends RST."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer to send. ``plain`` has its bytes if h11 is not needed for them."""

    request: Request
    reply: Reply
    plain: bytes | None


class Connection:
    """A connection, served by one thread at a time.

    ``on_phase`` is called with each new state of the connection, ``on_refused`` with the reason
    why a request was rejected. ``is_prompt`` says whether the application answers requests for that
    path without waiting for anything.

    Only `answer_at_hand` may be called after `serve` has returned True, and `serve` after that has
    returned `Turn.NEEDS_THREAD`.
    """

    def __init__(
        self,
        sock: socket.socket,
        app: WSGIApplication,
        origin: str,
        on_phase: Callable[[Phase], None],
        on_refused: Callable[[str], None],
        *,
        is_prompt: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        self.sock = sock
        self._app = app
        self._origin = origin
        self._on_phase = on_phase
        self._on_refused = on_refused
        self._is_prompt = is_prompt
        self._unsent: _Answer | None = None
        self._path = ""  # of the latest request
        self._reader = RequestReader(sock, on_phase)
        self._certificate = _certificate_of(sock)

    def serve(self) -> bool:
        """Answer requests until one side closes the connection, or it can wait without a thread.

        Returns True in the second case: what follows is probably as plain as what came before.
        """
        # A broken connection ends like a closed one: the journal already has what was answered.
        with contextlib.suppress(OSError):
            while self._serve_one():
                if self._can_wait_without_thread():
                    return True
        return False

    def answer_at_hand(self) -> Turn:
        """Answer the request that has just arrived, if that needs no waiting.

        The socket must be ready. Raises OSError if the connection breaks.
        """
        try:
            if not self._reader.receive_at_hand():
                return Turn.ENDED
        # select(2): a ready socket may block all the same.
        except BlockingIOError:  # pragma: no cover - no test can cause it
            return Turn.WAITS
        head = self._reader.plain_head_at_hand()
        if head is None or not self._is_prompt(head.target.partition("?")[0]):
            return Turn.NEEDS_THREAD
        request = self._reader.next_request()
        if request is None:  # pragma: no cover - its head is at hand
            return Turn.ENDED
        answer = self._answer_to(request)
        if answer.plain is None or answer.reply.delay_seconds:
            self._unsent = answer
            return Turn.NEEDS_THREAD
        self._on_phase(Phase.SENDING)
        sent = self._send_at_once(answer.plain)
        if sent < len(answer.plain):
            self._unsent = replace(answer, plain=answer.plain[sent:])
            return Turn.NEEDS_THREAD
        return Turn.WAITS if self._can_wait_without_thread() else Turn.NEEDS_THREAD

    def _can_wait_without_thread(self) -> bool:
        """Return whether another thread may wait for the next request; prepare for that if so."""
        if (
            not self._reader.is_plain
            or self._reader.has_unread
            # Bytes that TLS has decrypted already would not make the socket ready.
            or isinstance(self.sock, ssl.SSLSocket)
            or not self._is_prompt(self._path)
        ):
            return False
        self.sock.settimeout(0)
        self._on_phase(Phase.IDLE)
        return True

    def _send_at_once(self, data: bytes) -> int:
        """Send what the system takes without waiting; return how many bytes."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def _answer_to(self, request: Request) -> _Answer:
        """Return the application's answer to a request."""
        request = replace(request, certificate=self._certificate)
        self._path = request.path
        self._on_phase(Phase.ANSWERING)
        reply = _encoded(self._ask_app(request), request)
        is_plain = self._reader.is_plain and reply.manner is Manner.NORMAL and reply.pieces is None
        return _Answer(request, reply, plain_response(reply.response) if is_plain else None)

    def _serve_one(self) -> bool:
        """Read and answer one request; return whether another may follow on the connection."""
        answer, self._unsent = self._unsent, None
        if answer is None:
            try:
                request = self._reader.next_request()
            except Refused as refused:
                self._refuse(refused)
                return False
            if request is None:
                return False
            answer = self._answer_to(request)
        self._deliver(answer)
        if answer.plain is not None:
            # Neither side has asked for the connection to be closed.
            return True
        # h11 decides on persistence (RFC 9112, 9.3): both sides are DONE unless a field said close,
        # or the peer speaks HTTP/1.0.
        parser = self._reader.parser
        if parser.our_state is h11.DONE and parser.their_state is h11.DONE:
            return True
        if self._has_unread():
            self._linger()
        return False

    # Asking the app

    def _ask_app(self, request: Request) -> Reply:
        """Call the application for a request, and return its reply."""
        environ = self._environ(request)
        # PEP 3333 lets an application call start_response again after an error, so the last call
        # counts.
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> Callable[[bytes], object]:
            """Keep the status and the header fields of the application's response."""
            started.append((status, headers))
            # PEP 3333 demands a `write` callable. Flask does not use it, so what it writes is
            # discarded.
            return io.BytesIO().write

        result: Iterable[bytes] = self._app(environ, start_response)
        # Flask calls `start_response` before it returns.
        status, headers = started[-1]
        reply: Reply | None = environ.get(REPLY_KEY)
        if reply is not None and reply.pieces is not None:
            head = Response(int(status[:3]), Headers.of(headers))
            return replace(reply, response=head, pieces=result)
        body = b"".join(result)
        _close(result)
        # The response that Flask made is sent, not the broker's: Flask adds fields and handles
        # errors. Only the way to send it (delay, fault) comes from the broker's reply.
        response = Response(int(status[:3]), Headers.of(headers), body)
        return replace(reply or Reply(response=response), response=response)

    def _environ(self, request: Request) -> dict[str, Any]:
        """Return the WSGI environment of a request (PEP 3333)."""
        scheme, _, authority = self._origin.partition("://")
        name, _, port = authority.rpartition(":")
        return {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            # PEP 3333: strings of the environment hold bytes, decoded as Latin-1.
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "QUERY_STRING": request.query,
            "REQUEST_URI": request.target,
            "SERVER_NAME": name,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": request.headers.get("Host") or authority,
            "CONTENT_TYPE": request.headers.get("Content-Type") or "",
            # The body is complete and no longer chunked, so its length replaces the client's
            # framing.
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

    def _deliver(self, answer: _Answer) -> None:
        """Send a reply: wait for its delay, and apply a fault that has no response."""
        reply = answer.reply
        self.sock.settimeout(SEND_LIMIT_SECONDS)
        # Waiting on the event instead of sleeping lets a reset or a stop end the wait at once.
        if reply.delay_seconds:
            reply.released.wait(reply.delay_seconds)
        # An OSError ends `serve`, and the pool closes the socket: the peer gets no response.
        if reply.manner is Manner.STALL:
            reply.released.wait(reply.spread_seconds)
            raise ConnectionAbortedError
        if reply.manner is Manner.REFUSE:
            # Its connection was there before, and closes like one of a server that has ended.
            raise ConnectionAbortedError
        if reply.manner is Manner.RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            raise ConnectionAbortedError
        if answer.plain is not None:
            self._send_whole(answer.plain)
        elif reply.pieces is not None:
            self._stream(self._reader.parser, reply.response, reply.pieces)
        else:
            self._write(self._reader.parser, answer.request.method, reply)

    def _stream(self, parser: h11.Connection, head: Response, pieces: Iterable[bytes]) -> None:
        """Send a response piece by piece as the pieces are made, until they end.

        Raises OSError if the peer is gone, or does not read for `SEND_LIMIT_SECONDS`.
        """
        try:
            # Without a length h11 sends chunks, or to a client of HTTP/1.0 until the end.
            self.sock.sendall(parser.send(_head(head)) or b"")
            for piece in pieces:
                self.sock.sendall(parser.send(h11.Data(data=piece)) or b"")
            self.sock.sendall(parser.send(h11.EndOfMessage()) or b"")
        finally:
            _close(pieces)

    def _write(self, parser: h11.Connection, method: str, reply: Reply) -> None:
        """Send the response, or a part of it, as the reply's manner says."""
        response = reply.response
        has_body = method != "HEAD" and response.status not in BODILESS
        body = response.body if has_body else b""
        if has_body and reply.manner is Manner.CLOSE_DELIMITED:
            # For such a peer h11 ends a body of unknown length by the end of the connection.
            parser.their_http_version = b"1.0"
        # h11 adds the framing that the response lacks: Content-Length is Flask's, and Connection:
        # close is sent where the client asked for it.
        data = parser.send(_head(response)) or b""
        if reply.manner is Manner.CUT_SHORT:
            # The head announces the whole length, so the client can see that the body was cut.
            self.sock.sendall(data + body[: len(body) // 2])
            raise ConnectionAbortedError
        pieces = _pieces(body, CHUNKS) if reply.manner is Manner.CHUNKED else [body]
        for piece in filter(None, pieces):
            data += parser.send(h11.Data(data=piece)) or b""
        data += parser.send(h11.EndOfMessage()) or b""
        if reply.manner is Manner.DRIP:
            self._drip(data, reply)
        else:
            self._send_whole(data)
        if reply.manner is Manner.CLOSE_DELIMITED:
            self._end_tls()

    def _send_whole(self, data: bytes) -> None:
        """Send a whole response."""
        # From here on only the peer can delay the connection.
        self._on_phase(Phase.SENDING)
        # Head and body go out in one call: with TCP_NODELAY, two calls would be two packets.
        self.sock.sendall(data)

    def _end_tls(self) -> None:
        """Send the close_notify of TLS, without which a client takes an end for a cut."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(LINGER_SECONDS)
            self.sock.unwrap()

    def _drip(self, data: bytes, reply: Reply) -> None:
        """Send the data in small pieces, spread over the time of the reply.

        Once the reply is released, the pieces that are left follow without a pause.
        """
        for number, piece in enumerate(_pieces(data, DRIP_PIECES)):
            if number:
                reply.released.wait(reply.spread_seconds / DRIP_PIECES)
            self.sock.sendall(piece)

    def _refuse(self, refused: Refused) -> None:
        """Reject a malformed or oversized request, and close the connection."""
        self._on_refused(f"{refused.status}: {refused}")
        description = error_description(str(refused))
        members = {"error": "invalid_request", "error_description": description}
        fields = (*NO_STORE, *refused.headers, ("Connection", "close"))
        # An OAuth error body (RFC 6749, 5.2), because the request may have been meant for the token
        # endpoint, and clients show its description.
        response = json_response(refused.status, members, *fields)
        length = ("Content-Length", str(len(response.body)))
        response = replace(response, headers=Headers((*response.headers, length)))
        # Only HEAD changes the form of this response, so POST stands for any other method.
        method = "HEAD" if self._reader.is_head_request else "POST"
        self.sock.settimeout(SEND_LIMIT_SECONDS)
        # RFC 9110, 9.3.2: a response to HEAD has no content. A client would read it as the start of
        # the next response.
        self._write(_parser_after(method), method, Reply(response=response))
        self._linger()

    def _has_unread(self) -> bool:
        """Return whether the peer has sent more than was read."""
        if self._reader.has_unread:
            return True
        # Bytes may have reached the kernel that the reader has not received. Closing then sends
        # RST, too.
        self.sock.settimeout(0)
        try:
            return bool(self.sock.recv(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False

    def _linger(self) -> None:
        """Read and discard bytes for a moment before the connection is closed.

        Closing a socket with unread bytes sends RST, and the peer could lose the response.
        """
        # RFC 9112, 9.6: "To avoid the TCP reset problem, servers typically close a connection in
        # stages. First, the server performs a half-close by closing only the write side".
        self.sock.shutdown(socket.SHUT_WR)
        until, unread = real_seconds() + LINGER_SECONDS, LINGER_BYTES
        # Both bounds are needed: a fast peer could send for 2 s without end, a slow one forever.
        while unread > 0 and (remaining := until - real_seconds()) > 0:
            self.sock.settimeout(remaining)
            data = self.sock.recv(65536)
            if not data:
                return
            unread -= len(data)


def _certificate_of(sock: socket.socket) -> bytes:
    """Return the client's certificate of a connection, in DER; empty if it presented none."""
    if isinstance(sock, ssl.SSLSocket):
        return sock.getpeercert(binary_form=True) or b""
    return b""


def _close(result: Iterable[bytes]) -> None:
    """Close what an application returned: PEP 3333 asks the server to call `close` if it exists."""
    close = getattr(result, "close", None)
    if close is not None:
        close()


def _parser_after(method: str) -> h11.Connection:
    """Return a parser that has read a request by that method and can send the response.

    The parser that failed does not know the method.
    """
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(f"{method} / HTTP/1.1\r\nHost: broker\r\n\r\n".encode())
    parser.next_event()
    return parser


def _encoded(reply: Reply, request: Request) -> Reply:
    """Return the reply with the body and the header fields that its coding and manner ask for."""
    if not reply.coding and reply.manner is Manner.NORMAL:
        return reply
    response = reply.response
    if reply.coding and response.body and allows_coding(request.headers, reply.coding):
        response = replace(response, body=CODINGS[reply.coding](response.body))
        response = _with_field(response, "Content-Encoding", reply.coding)
        response = _with_field(response, "Content-Length", str(len(response.body)))
    if reply.manner in (Manner.CHUNKED, Manner.CLOSE_DELIMITED):
        # Without a length h11 chooses the framing by the peer's version of HTTP.
        response = _with_field(response, "Content-Length", "")
    return replace(reply, response=response)


def _with_field(response: Response, name: str, value: str) -> Response:
    """Return the response with this value of the field only; an empty string removes the field."""
    others = [pair for pair in response.headers if pair[0].lower() != name.lower()]
    return replace(response, headers=Headers.of([*others, (name, value)] if value else others))


def _pieces(data: bytes, most: int) -> list[bytes]:
    """Return the data in pieces of equal size, ``most`` at most."""
    size = max(1, math.ceil(len(data) / most))
    return [data[start : start + size] for start in range(0, len(data), size)]


def _head(response: Response) -> h11.Response:
    """Return the head of the response for h11, with the usual reason phrase."""
    fields = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in response.headers]
    return h11.Response(
        status_code=response.status,
        headers=fields,
        # Clients should ignore the phrase (RFC 9112, 4); people read it in the output of curl.
        reason=responses.get(response.status, "").encode(),
    )
