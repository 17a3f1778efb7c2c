"""A bounded pool of threads that serve connections.

Threads, not an event loop: faults block, and a broker serves few connections. The pool keeps slow
and silent peers from taking every thread.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue

from mockbroker.broker.clock import real_seconds

__all__ = ["ConnectionPool", "Phase"]

STOP_LIMIT_SECONDS = 5.0
"""How long to wait for each thread at the end; the threads are daemons and cannot hold the process
up longer."""
MIN_SILENCE_SECONDS = 0.05
"""How long a connection must have been silent before the pool may close it: the first bytes of a
sound client arrive within milliseconds of its connection."""
LONG_SILENCE_SECONDS = 1.0
"""From this time on a silent connection is closed before those that were silent for less."""
CLOSE_IDLE_LIMIT_SECONDS = 1.0
CLOSE_IDLE_POLL_SECONDS = 0.001
_log = logging.getLogger(__name__)


class Phase(enum.Enum):
    """The state of a connection.

    The pool may close a connection in every state but ANSWERING. The values are for people.
    """

    IDLE = "waits for a request, or for the TLS handshake"
    READING = "reads a request"
    ANSWERING = "answers a request"
    SENDING = "waits for the peer to take an answer"


class ConnectionPool:
    """A pool that serves each connection in a thread, and reuses idle threads.

    At ``limit`` connections, or when the system starts no more threads, a new connection waits
    for a thread. `make_room` closes others for it. All methods are thread-safe.
    """

    def __init__(self, serve: Callable[[socket.socket], None], limit: int = 256) -> None:
        self._serve = serve
        self._limit = limit
        self._queue: SimpleQueue[socket.socket | None] = SimpleQueue()
        # `SimpleQueue.put` never blocks, so a connection can be queued under the lock. The two
        # counters are kept apart from the queue: its size does not say which threads are idle.
        self._free_count = 0  # idle threads for which no connection is queued
        self._waiting_count = 0  # connections queued beyond the number of threads
        self._threads: set[threading.Thread] = set()
        self._open: dict[socket.socket, None] = {}
        self._silent: dict[socket.socket, tuple[Phase, float]] = {}  # phase, and since when
        # Shut down to make room, while their threads have not noticed it yet.
        self._leaving: set[socket.socket] = set()
        self._stopping = False
        self._has_warned = False
        self._lock = threading.Lock()
        self.room = threading.Event()
        """Set whenever a connection has ended."""

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that was just accepted, and close it at its end.

        It never blocks. The connection is closed at once if no thread can ever serve it.
        """
        with self._lock:
            # Without a single thread no connection would ever be served, so the peer sees the end
            # at once instead of waiting.
            if self._stopping or not self._find_thread():
                sock.close()
                return
            self._open[sock] = None
            self._queue.put(sock)

    def _find_thread(self) -> bool:
        """Reserve a thread for one more connection, now or later; return False without any."""
        if self._free_count:
            self._free_count -= 1
        elif len(self._threads) >= self._limit or not self._add_thread():
            self._waiting_count += bool(self._threads)
        return bool(self._threads)

    def _add_thread(self) -> bool:
        """Start a thread; return whether the system did so. Needs the lock."""
        # Daemons: a test process must be able to end while a client holds its connection open.
        thread = threading.Thread(target=self._work, name="mockbroker-serve", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._warn_once(
                f"the system starts no more than {len(self._threads)} threads; connections wait "
                "for their turn, and the idlest are closed"
            )
            return False
        self._threads.add(thread)
        return True

    def _warn_once(self, text: str) -> None:
        """Log the first warning only; needs the lock.

        A shortage of threads may last for thousands of connections.
        """
        if not self._has_warned:
            _log.warning(text)
        self._has_warned = True

    @property
    def is_crowded(self) -> bool:
        """Whether connections wait for a thread that no closed connection will free.

        The accepting loop asks before each wait, and calls `make_room` while it is True.
        """
        with self._lock:
            return self._waiting_count > len(self._leaving)

    def make_room(self, extra: int = 0) -> None:
        """Close silent connections for those that wait, and ``extra`` more.

        Connections that were closed before, and have not ended yet, count as room.
        """
        with self._lock:
            # A connection that leaves will free its thread; closing another for it would be one too
            # many.
            missing = self._waiting_count + extra - len(self._leaving)
            for sock in self._closable()[: max(0, missing)]:
                del self._silent[sock]
                self._leaving.add(sock)
                _shut(sock)

    def close_idle(self) -> None:
        """Close the connections that wait for a request; return when they are shut down.

        A connection whose answer was just sent is about to wait, and is closed as well. It waits
        for that, for a second at most. Connections that are being answered stay open.
        """
        until = real_seconds() + CLOSE_IDLE_LIMIT_SECONDS
        while self._shut_idle() and real_seconds() < until:
            self.room.clear()
            self.room.wait(CLOSE_IDLE_POLL_SECONDS)

    def _shut_idle(self) -> bool:
        """Shut idle connections down; return whether one is still sending its answer."""
        with self._lock:
            idle = [sock for sock, (phase, _) in self._silent.items() if phase is Phase.IDLE]
            for sock in idle:
                del self._silent[sock]
                self._leaving.add(sock)
                _shut(sock)
            return any(phase is Phase.SENDING for phase, _ in self._silent.values())

    def _closable(self) -> list[socket.socket]:
        """Return the connections that may be closed, in the order in which to close them.

        Those that have been silent for long come first: those that wait for a request, those in
        the middle of a request, and those whose peer does not read the answer. The others follow,
        the longest silent first: their bytes may still be on the way.
        """
        now = real_seconds()

        def rank(sock: socket.socket) -> tuple[bool, int, float]:
            """Return the sort key of a connection: the smallest is closed first."""
            phase, since = self._silent[sock]
            is_new = now - since < LONG_SILENCE_SECONDS
            return is_new, 0 if is_new else _ORDER.index(phase), since

        silent = [s for s, (_, since) in self._silent.items() if now - since >= MIN_SILENCE_SECONDS]
        return sorted(silent, key=rank)

    def note_phase(self, sock: socket.socket, phase: Phase) -> None:
        """Record the state in which a connection is from now on.

        The connection's own thread calls it.
        """
        with self._lock:
            self._silent.pop(sock, None)
            if phase in _ORDER and sock not in self._leaving:
                # ANSWERING is not in the order: a connection that waits for a scripted delay is the
                # broker's own doing, and closing it would change what the test asked for.
                self._silent[sock] = (phase, real_seconds())

    def _work(self) -> None:
        """Serve queued connections until the queue holds None."""
        while (sock := self._queue.get()) is not None:
            self._serve_one(sock)
            self._finish(sock)

    def _serve_one(self, sock: socket.socket) -> None:
        """Serve a connection to its end; log what it raises."""
        try:
            self._serve(sock)
        except OSError:
            pass  # the peer closed the connection, or the TLS handshake failed
        except Exception:  # noqa: BLE001 - an exception would end the thread
            _log.exception("a connection failed by a mistake of the broker's own")

    def _finish(self, sock: socket.socket) -> None:
        """Close a connection that has been served, and make its thread available."""
        with self._lock:
            # Closed under the lock: the system reuses a closed descriptor at once, and `make_room`
            # in another thread would shut down the new connection that got it.
            sock.close()
            self._open.pop(sock, None)
            self._silent.pop(sock, None)
            self._leaving.discard(sock)
            if self._waiting_count:
                self._waiting_count -= 1
            else:
                self._free_count += 1
        # Outside the lock: the acceptor wakes up and takes the lock at once.
        self.room.set()

    def stop(self) -> None:
        """Close every connection and end every thread; wait at most some seconds for each.

        Callers may be threads of the pool themselves. Later connections are closed at once.
        """
        with self._lock:
            self._stopping = True
            threads = tuple(self._threads)
            for sock in self._open:
                _shut(sock)
            # One None ends one thread; each thread takes exactly one.
            for _ in threads:
                self._queue.put(None)
        # A thread cannot join itself: `stop` may be called by a subscriber of the journal, which
        # runs in a thread of this pool.
        for thread in set(threads) - {threading.current_thread()}:
            thread.join(STOP_LIMIT_SECONDS)


# The states in which a connection waits for its peer, in the order of what closing them costs: an
# idle client opens another connection, one in the middle of a request loses that request.
_ORDER = (Phase.IDLE, Phase.READING, Phase.SENDING)


def _shut(sock: socket.socket) -> None:
    """Shut a connection down: what its thread reads or writes next then fails or ends.

    The descriptor stays open, because only the connection's own thread may close it.
    """
    with contextlib.suppress(OSError):
        # Not SSLSocket's own shutdown: it drops the TLS state while another thread reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
