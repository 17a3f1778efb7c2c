"""Threads that serve connections, bounded, and the connections that wait in them."""

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
PATIENCE_SECONDS = 0.05
"""How long each connection may be silent, however many wait."""
COURTESY_SECONDS = 1.0
"""How long a connection may be silent before those that are not go first."""
_log = logging.getLogger(__name__)


class Phase(enum.Enum):
    """What a connection is doing."""

    IDLE = "waits for a request, or for the TLS handshake"
    READING = "reads a request"
    ANSWERING = "answers a request"
    SENDING = "waits for the peer to take an answer"


class ConnectionPool:
    """Serves each connection in a thread; an idle thread is used again before one is made.

    At ``limit`` connections, or when the system starts no more threads, a new connection waits
    for its turn, and `make_room` closes others for it. All methods may be called from any thread.
    """

    def __init__(self, serve: Callable[[socket.socket], None], limit: int = 256) -> None:
        self._serve = serve
        self._limit = limit
        self._queue: SimpleQueue[socket.socket | None] = SimpleQueue()
        self._free_count = 0  # threads with nothing to do, and nothing queued for them
        self._waiting_count = 0  # connections queued beyond the number of threads
        self._threads: set[threading.Thread] = set()
        self._open: dict[socket.socket, None] = {}
        self._silent: dict[socket.socket, tuple[Phase, float]] = {}  # phase, and since when
        self._leaving: set[socket.socket] = set()  # closed to make room, and still in a thread
        self._stopping = False
        self._said = False
        self._lock = threading.Lock()
        self.room = threading.Event()
        """Set whenever a connection has ended."""

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that was just accepted, and close it in the end."""
        with self._lock:
            if self._stopping or not self._find_thread():
                sock.close()
                return
            self._open[sock] = None
            self._queue.put(sock)

    def _find_thread(self) -> bool:
        """Find a thread for one more connection, now or later; False if there is none at all."""
        if self._free_count:
            self._free_count -= 1
        elif len(self._threads) >= self._limit or not self._add_thread():
            self._waiting_count += bool(self._threads)
        return bool(self._threads)

    def _add_thread(self) -> bool:
        thread = threading.Thread(target=self._work, name="mockbroker-serve", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._say_once(
                f"the system starts no more than {len(self._threads)} threads; connections wait "
                "for their turn, and the idlest are closed"
            )
            return False
        self._threads.add(thread)
        return True

    def _say_once(self, text: str) -> None:
        if not self._said:
            _log.warning(text)
        self._said = True

    @property
    def is_crowded(self) -> bool:
        """Whether connections wait for others to end."""
        with self._lock:
            return self._waiting_count > len(self._leaving)

    def make_room(self, extra: int = 0) -> None:
        """Close silent connections for those that wait, and for so many more."""
        with self._lock:
            missing = self._waiting_count + extra - len(self._leaving)
            for victim in self._least_missed()[: max(0, missing)]:
                del self._silent[victim]
                self._leaving.add(victim)
                _shut(victim)

    def _least_missed(self) -> list[socket.socket]:
        """Return the connections that may be closed, and that should be closed first, first.

        Of those that have been silent for long, one that waits for a request goes before one in
        the middle of it, and that before one whose answer nobody reads. Of the others, which may
        just be on their way, the oldest goes.
        """
        now = real_seconds()

        def rank(sock: socket.socket) -> tuple[bool, int, float]:
            phase, since = self._silent[sock]
            is_new = now - since < COURTESY_SECONDS
            return is_new, 0 if is_new else _ORDER.index(phase), since

        late = [s for s, (_, since) in self._silent.items() if now - since >= PATIENCE_SECONDS]
        return sorted(late, key=rank)

    def note_phase(self, sock: socket.socket, phase: Phase) -> None:
        """Note what a connection is doing from now on."""
        with self._lock:
            self._silent.pop(sock, None)
            if phase in _ORDER and sock not in self._leaving:
                self._silent[sock] = (phase, real_seconds())

    def _work(self) -> None:
        while (sock := self._queue.get()) is not None:
            self._serve_one(sock)
            self._finish(sock)

    def _serve_one(self, sock: socket.socket) -> None:
        try:
            self._serve(sock)
        except OSError:
            pass  # the peer went away, or would not shake hands
        except Exception:  # noqa: BLE001 - or the pool would lose the thread
            _log.exception("a connection failed by a mistake of the broker's own")

    def _finish(self, sock: socket.socket) -> None:
        with self._lock:
            # closed under the lock: no other thread may shut a descriptor that is used again
            sock.close()
            self._open.pop(sock, None)
            self._silent.pop(sock, None)
            self._leaving.discard(sock)
            if self._waiting_count:
                self._waiting_count -= 1
            else:
                self._free_count += 1
        self.room.set()

    def stop(self) -> None:
        """Close every connection and end every thread."""
        with self._lock:
            self._stopping = True
            threads = tuple(self._threads)
            for sock in self._open:
                _shut(sock)
            for _ in threads:
                self._queue.put(None)
        for thread in set(threads) - {threading.current_thread()}:
            thread.join(STOP_LIMIT_SECONDS)


_ORDER = (Phase.IDLE, Phase.READING, Phase.SENDING)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # not SSLSocket's own shutdown, which takes TLS away under the thread that reads
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
