"""The server: it runs brokers on a port, in a thread or in the foreground.

Each connection has a thread, up to a limit, from its first byte until it waits for another request,
and whenever an answer may take time. Therefore a half-open or slow connection delays no other, and
a fault can act on the socket. The accepting loop answers plain requests of connections that wait.
Timers use real time, because a test may freeze the other clocks.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from mockbroker.broker.mounting import CONTROL_PATH
from mockbroker.broker.profiles import profile_named
from mockbroker.model.profile import Profile
from mockbroker.server.acceptor import Acceptor
from mockbroker.server.application import Mounts, create_app
from mockbroker.server.certificates import ServerCertificate
from mockbroker.server.client_trust import ClientTrust
from mockbroker.server.mountable import Mountable
from mockbroker.server.pool import ConnectionPool, Phase, Waiting
from mockbroker.server.ports import is_loopback, listen_at
from mockbroker.server.wire import Connection

if TYPE_CHECKING:
    from mockbroker.server.control.access import ControlAccess
    from mockbroker.server.control.controlled import ControlledBroker

__all__ = ["Server", "origin_of"]

CONNECTION_LIMIT = 256
"""Connections, and therefore threads, at a time. Linux usually lets a process open 1024 files."""
# Real seconds for a whole handshake: until then a silent peer holds a thread.
HANDSHAKE_LIMIT_SECONDS = 10.0
LINGER_SECONDS, LINGER_PIECES = 2.0, 16
"""How long, and how often, `_read_rest` waits for bytes; the time is real."""
STOP_LIMIT_SECONDS = 5.0
"""How long `Server.stop` waits for the accepting thread, in seconds."""


_log = logging.getLogger(__name__)


def _ignore(_: str) -> None:
    """Ignore the report on a malformed request."""


class Server:
    """An HTTP server for one broker or many.

    It listens as soon as it is made; port 0 takes a free port. With a ``tls`` certificate it
    speaks HTTPS only. ``on_refused`` is called with one sentence about each malformed or oversized
    request, which reaches no broker. The call is in the thread of the connection. Several
    processes may serve one port if it ``shares_port`` in each. Raises OSError if the address cannot
    be used.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ServerCertificate | None = None,
        on_refused: Callable[[str], None] = _ignore,
        shares_port: bool = False,
    ) -> None:
        self._tls = tls
        self._trust = None if tls is None else ClientTrust(tls.context)
        self._on_refused = on_refused
        self._pool = ConnectionPool(self._serve, self._watch, CONNECTION_LIMIT)
        listener = listen_at(host, port, is_shared=shares_port)
        try:
            # The acceptor needs descriptors of its own. Without them the port must become free
            # again.
            self._acceptor = Acceptor(listener, self._take, self._pool)
        except OSError:
            listener.close()
            raise
        self.port: int = listener.getsockname()[1]
        self.origin = origin_of(host, self.port, is_tls=tls is not None)
        self.mounts = Mounts()
        self._app = create_app(self.mounts)
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._stop_lock = threading.Lock()
        self.control_token: str | None = None
        """What the control API demands that was mounted last; None if it demands nothing."""
        # The prefixes of the brokers for which connections are refused.
        self._refusing: set[str] = set()

    @property
    def is_on_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        return is_loopback(self._acceptor.listener)

    @property
    def shortages(self) -> int:
        """How many connections could not be accepted at first for want of descriptors or memory."""
        return self._acceptor.shortages

    def mount(self, broker: Mountable, prefix: str = "") -> None:
        """Serve a broker below a prefix such as "" or "/x7f3", and give the broker its URLs.

        Raises ValueError if the prefix is malformed or in use.
        """
        if prefix in self.mounts:
            raise ValueError(f"a broker is mounted at prefix {prefix!r} already")
        # Before the broker gets its URLs: it must be reachable as soon as a test can read them.
        self.mounts[prefix] = broker
        ca_file = self._tls.ca_file if self._tls else None
        broker.mounted_at(self.origin, prefix, ca_file, _Connections(self, prefix))

    def mount_control(
        self,
        broker: ControlledBroker,
        prefix: str = "",
        access: ControlAccess | None = None,
        find_profile: Callable[[str], Profile] = profile_named,
    ) -> None:
        """Serve the control API and the live page of the broker that is mounted at that prefix.

        It lies below ``__mockbroker__``. It demands the token of the ``access``, which
        `control_token` then has. Off loopback it always demands one, by default a random one.
        ``find_profile`` returns
        the profile of a name that a request gives. Unmounting the broker ends it.
        """
        # Only some servers have it, and its import takes a while.
        from mockbroker.server.control.access import ControlAccess  # noqa: PLC0415 - see above
        from mockbroker.server.control.api import ControlApi  # noqa: PLC0415 - see above
        from mockbroker.server.control.live_page import PageAtRoot  # noqa: PLC0415 - see above

        access = access or ControlAccess()
        if not self.is_on_loopback:
            access = access.with_token()
        self.mounts[prefix] = PageAtRoot(self.mounts[prefix], broker, prefix, access)
        self.mounts[prefix + CONTROL_PATH] = ControlApi(broker, access, find_profile)
        self.control_token = access.token

    def unmount(self, prefix: str = "") -> None:
        """Stop serving the broker at that prefix. Raises KeyError if there is none.

        The broker keeps its state. Its answers that wait end at once, and its control API ends.
        """
        control = self.mounts.pop(prefix + CONTROL_PATH, None)
        if control is not None:
            control.unmounted()
        # First out of the mounts, so that no later request reaches the broker.
        self.mounts.pop(prefix).unmounted()
        self.refuse_connections(prefix, refuses=False)

    def start(self) -> None:
        """Serve in a thread of its own."""
        # A daemon: a process that forgets to call `stop` can still end.
        self._thread = threading.Thread(
            target=self._acceptor.run, name="mockbroker-accept", daemon=True
        )
        self._thread.start()

    def serve_forever(self) -> None:
        """Serve in this thread until `interrupt` or `stop` is called."""
        try:
            self._acceptor.run()
        finally:
            self.stop()

    def interrupt(self) -> None:
        """Make `serve_forever` return soon. Takes no lock, so a signal handler may call it."""
        self._acceptor.interrupt()

    def stop(self) -> None:
        """Stop listening, end every unfinished answer and close every connection.

        Later calls do nothing. Safe to call from any thread, but not from a signal handler.
        """
        with self._stop_lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
        self.interrupt()
        # The port closes in any case, so it need not accept connections again.
        self._refusing.clear()
        # Unmounting ends stalled and delayed answers. Their threads would otherwise wait for real
        # seconds, and the pool could not join them.
        for prefix in self.mounts:
            # Another thread may unmount a broker meanwhile.
            with contextlib.suppress(KeyError):
                self.unmount(prefix)
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_SECONDS)
        self._acceptor.listener.close()
        # After the acceptor has ended, so that no connection enters a pool that is stopped.
        self._pool.stop()
        self._acceptor.close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def refuse_connections(self, prefix: str, *, refuses: bool) -> None:
        """Refuse connections to the port on behalf of the broker at that prefix, or no longer.

        All brokers of the server share its port. It returns when connections are refused, or
        accepted again, and the idle ones are closed. Call it from any thread.
        """
        before = set(self._refusing)
        (self._refusing.add if refuses else self._refusing.discard)(prefix)
        if bool(before) != bool(self._refusing):
            self._acceptor.set_refusing(refuses=bool(self._refusing))
        if refuses:
            self.close_idle_connections()

    def close_idle_connections(self) -> None:
        """Close every connection on which the server waits for a request."""
        self._pool.close_idle()

    def _take(self, sock: socket.socket) -> None:
        """Pass an accepted connection to the pool, wrapped for TLS if the server uses it."""
        if self._tls is not None and self._trust is not None:
            # The connection gets the setting that the context has now.
            asks = any(broker.asks_for_certificates for broker in tuple(self.mounts.values()))
            self._trust.ask(asks=asks)
            try:
                # The thread of the connection shakes hands: a silent peer must not block this one.
                sock = self._tls.context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            except OSError:  # the peer has gone already
                sock.close()
                return
        self._pool.take(sock)

    def _watch(self, waiting: Waiting) -> None:
        self._acceptor.watch(waiting)

    def _is_prompt(self, path: str) -> bool:
        """Return whether a request for that path can be answered without waiting."""
        broker = self.mounts.resolve(path)
        return broker is not None and broker.is_prompt

    def _serve(self, sock: socket.socket) -> Connection | None:
        """Serve a new connection; called in a thread of the pool.

        Returns the connection if it waits without a thread, and None at its end. Raises
        OSError if the peer closes the connection or the handshake fails.
        """
        # Without it Nagle's algorithm holds the small pieces of a drip back until the peer
        # acknowledges the one before. Delayed acknowledgements take some 40 ms, which would move
        # the times of a fault.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._trust is not None and isinstance(sock, ssl.SSLSocket):
            self._handshake(sock, self._trust)
        on_phase = partial(self._pool.note_phase, sock)
        connection = Connection(
            sock, self._app, self.origin, on_phase, self._on_refused, is_prompt=self._is_prompt
        )
        return connection if connection.serve() else None

    def _handshake(self, sock: ssl.SSLSocket, trust: ClientTrust) -> None:
        """Do the TLS handshake. Raises ssl.SSLError, and reports why, if it fails."""
        self._pool.note_phase(sock, Phase.IDLE)  # the pool may close a silent peer
        sock.settimeout(HANDSHAKE_LIMIT_SECONDS)
        # Here and not in `_take`: it may read a shared state.
        for broker in tuple(self.mounts.values()):
            trust.accept(broker.accepted_certificates())
        try:
            sock.do_handshake()
        except ssl.SSLEOFError:
            raise  # the peer closed the connection before it sent a request
        except ssl.SSLError as error:
            why = _why_no_tls(error)
            self._on_refused(why)
            if isinstance(error, ssl.SSLCertVerificationError):
                if self._on_refused is _ignore:
                    # No journal has a handshake, and a test has to find the reason somewhere.
                    _log.warning("%s", why)
                _read_rest(sock)
            raise


@dataclass(frozen=True, slots=True)
class _Connections:
    """The connections of a server, for the broker that is mounted at ``prefix``."""

    server: Server
    prefix: str

    def close_idle(self) -> None:
        self.server.close_idle_connections()

    def refuse(self, *, refuses: bool) -> None:
        # A broker that was unmounted meanwhile has no port any more.
        if self.prefix in self.server.mounts:  # pragma: no branch - needs another thread's unmount
            self.server.refuse_connections(self.prefix, refuses=refuses)


def _read_rest(sock: ssl.SSLSocket) -> None:
    """Read what a client has sent already after its certificate was not accepted.

    With TLS 1.3 that is its request. Closing the socket first would send RST, and the client would
    not see the alert that names its certificate.
    """
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(LINGER_SECONDS)
        any(not sock.recv(65536) for _ in range(LINGER_PIECES))


def _why_no_tls(error: ssl.SSLError) -> str:
    """Return why a TLS handshake failed, and what to do about it.

    The reasons are those of OpenSSL, whose names differ between versions.
    """
    reason = error.reason or "no reason given"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the client's certificate is not accepted ({error.verify_message}): expected one that "
            "is registered, or that a registered authority has issued"
        )
    # OpenSSL recognizes an HTTP method where a handshake should begin.
    if reason == "HTTP_REQUEST":
        return "the client speaks plain HTTP, and this port speaks TLS: write https://"
    if "UNKNOWN_CA" in reason or "CERTIFICATE" in reason:
        return f"the client does not trust the certificate ({reason}): give it the CA"
    return f"no TLS connection came about ({reason})"


def origin_of(host: str, port: int, *, is_tls: bool) -> str:
    """Return the scheme, host and port with which URLs of a server begin."""
    return f"{'https' if is_tls else 'http'}://{_host_in_url(host)}:{port}"


def _host_in_url(host: str) -> str:
    """Return the host as a URL names it, with the loopback address for a wildcard address."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
