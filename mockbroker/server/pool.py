"""A bounded pool of threads that serve connections.

A connection has a thread, because faults block, and so do slow and silent peers. The pool keeps
those from taking every thread. A connection that only waits for its next request leaves its thread
idle, and the accepting loop waits for all of these connections at once.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, Union

from mockbroker.broker.clock import real_seconds

__all__ = ["ConnectionPool", "Phase", "Turn", "Waiting"]

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


class Turn(enum.Enum):
    """What a connection does after its turn in the accepting loop. The values are for people."""

    WAITS = "waits for its next request"
    NEEDS_THREAD = "has a request that needs a thread"
    ENDED = "has ended"


class Waiting(Protocol):
    """A connection that waits for its next request without a thread."""

    sock: socket.socket

    def answer_at_hand(self) -> Turn:
        """Answer what has arrived on the socket, which is ready. Raises OSError if it breaks."""
        ...

    def serve(self) -> bool:
        """Serve it in a thread; return whether it waits without one again. False at its end."""
        ...


_Job = Union[socket.socket, Waiting]


class ConnectionPool:
    """A pool that serves each connection in a thread, and reuses idle threads.

    ``serve`` serves a new connection. It returns None at its end, or the connection once that waits
    without a thread; ``watch`` is then called with it. The thread stays reserved for it, until
    `resume` or `end`.

    At ``limit`` connections, or when the system starts no more threads, a new connection waits
    for a thread. `make_room` closes others for it. All methods are thread-safe.
    """

    def __init__(
        self,
        serve: Callable[[socket.socket], Waiting | None],
        watch: Callable[[Waiting], None],
        limit: int = 256,
    ) -> None:
        self._serve = serve
        self._watch = watch
        self._limit = limit
        # `SimpleQueue.put` never blocks, so a connection can be queued under the lock. Each one in
        # the queue has a thread that is idle or about to be; the others wait elsewhere.
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threadless: deque[socket.socket] = deque()
        # Kept apart from the queue: its size does not say which threads are idle, and which of
        # those are reserved.
        self._free_count = 0  # idle threads that no connection has reserved
        self._reserved: set[socket.socket] = set()  # of the connections that wait elsewhere
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
            has_thread = not self._stopping and self._find_thread()
            # Without a single thread no connection would ever be served, so the peer sees the end
            # at once instead of waiting.
            if self._stopping or not self._threads:
                sock.close()
                return
            self._open[sock] = None
            if has_thread:
                self._queue.put(sock)
            else:
                self._threadless.append(sock)

    def resume(self, waiting: Waiting) -> None:
        """Serve a connection in its thread again, which it left to wait."""
        with self._lock:
            # A pool that stops closes the connection itself.
            if not self._stopping:
                self._reserved.discard(waiting.sock)
                self._queue.put(waiting)

    def end(self, waiting: Waiting) -> None:
        """Close a connection that waited, and make its thread available."""
        self._finish(waiting.sock)

    def _find_thread(self) -> bool:
        """Reserve a thread for one more connection; return False if there is none for it."""
        if self._free_count:
            self._free_count -= 1
            return True
        return len(self._threads) < self._limit and self._add_thread()

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
            return len(self._threadless) > len(self._leaving)

    def make_room(self, extra: int = 0) -> None:
        """Close silent connections for those that wait, and ``extra`` more.

        Connections that were closed before, and have not ended yet, count as room.
        """
        with self._lock:
            # A connection that leaves will free its thread; closing another for it would be one too
            # many.
            missing = len(self._threadless) + extra - len(self._leaving)
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

        The thread that serves the connection calls it.
        """
        with self._lock:
            self._silent.pop(sock, None)
            if phase in _ORDER and sock not in self._leaving:
                # ANSWERING is not in the order: a connection that waits for a scripted delay is the
                # broker's own doing, and closing it would change what the test asked for.
                self._silent[sock] = (phase, real_seconds())

    def _work(self) -> None:
        """Serve queued connections until the queue holds None."""
        while (job := self._queue.get()) is not None:
            waiting = self._serve_one(job)
            if waiting is None:
                self._finish(job if isinstance(job, socket.socket) else job.sock)
            else:
                with self._lock:
                    self._reserved.add(waiting.sock)
                # Nothing else of it may be touched from here on: it has another thread.
                self._watch(waiting)

    def _serve_one(self, job: _Job) -> Waiting | None:
        """Serve a connection until it ends, or until it waits; log what it raises."""
        try:
            if isinstance(job, socket.socket):
                return self._serve(job)
            return job if job.serve() else None
        except OSError:
            pass  # the peer closed the connection, or the TLS handshake failed
        except Exception:  # noqa: BLE001 - an exception would end the thread
            _log.exception("a connection failed by a mistake of the broker's own")
        return None

    def _finish(self, sock: socket.socket) -> None:
        """Close a connection that has been served, and make its thread available."""
        with self._lock:
            # Closed under the lock: the system reuses a closed descriptor at once, and `make_room`
            # in another thread would shut down the new connection that got it.
            sock.close()
            self._open.pop(sock, None)
            self._silent.pop(sock, None)
            self._leaving.discard(sock)
            self._reserved.discard(sock)
            if self._threadless:
                self._queue.put(self._threadless.popleft())
            else:
                self._free_count += 1
        # Outside the lock: the acceptor wakes up and takes the lock at once.
        self.room.set()

    def stop(self) -> None:
        """Close every connection and end every thread; wait at most some seconds for each.

        Callers may be threads of the pool themselves. Later connections are closed at once. The
        loop that watched connections has ended before.
        """
        with self._lock:
            self._stopping = True
            threads = tuple(self._threads)
            for sock in self._open:
                _shut(sock)
            # They would follow the None in the queue, and no thread would take them.
            while self._threadless:
                self._threadless.popleft().close()
            # One None ends one thread; each thread takes exactly one.
            for _ in threads:
                self._queue.put(None)
        # A thread cannot join itself: `stop` may be called by a subscriber of the journal, which
        # runs in a thread of this pool.
        for thread in set(threads) - {threading.current_thread()}:
            thread.join(STOP_LIMIT_SECONDS)
        # What was watched has no thread that could close it.
        with self._lock:
            while self._reserved:
                self._reserved.pop().close()


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
