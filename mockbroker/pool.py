"""Threads that serve connections, bounded, and the connections that wait in them."""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["ConnectionPool", "Phase"]

STOP_LIMIT_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Phase(enum.Enum):
    """What a connection is doing."""

    IDLE = "waits for a request"
    READING = "reads a request"
    ANSWERING = "answers a request"


class ConnectionPool:
    """Serves each connection in a thread; an idle thread is used again before one is made.

    At ``limit`` connections, the one that has waited longest for a request is closed to make
    room, or else the one that has been reading a request for longest; if all are busy with
    answers, a new one waits for its turn.
    """

    def __init__(self, serve: Callable[[socket.socket], None], limit: int = 256) -> None:
        self._serve = serve
        self._limit = limit
        self._queue: SimpleQueue[socket.socket | None] = SimpleQueue()
        self._free_count = 0  # threads with nothing to do, and nothing queued for them
        self._waiting_count = 0  # connections queued beyond the number of threads
        self._threads: set[threading.Thread] = set()
        self._open: dict[socket.socket, None] = {}
        self._idle: dict[socket.socket, None] = {}
        self._reading: dict[socket.socket, None] = {}
        self._stopping = False
        self._lock = threading.Lock()

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that was just accepted, and close it in the end."""
        with self._lock:
            if self._stopping:
                sock.close()
                return
            self._find_thread()
            self._open[sock] = None
            self._queue.put(sock)

    def _find_thread(self) -> None:
        if self._free_count:
            self._free_count -= 1
        elif len(self._threads) < self._limit:
            self._add_thread()
        else:
            self._waiting_count += 1
            self._make_room()

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="mockbroker-serve", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _make_room(self) -> None:
        victim = next(iter((*self._idle, *self._reading)), None)
        if victim is not None:
            self._forget_phase(victim)
            _shut(victim)

    def _forget_phase(self, sock: socket.socket) -> None:
        self._idle.pop(sock, None)
        self._reading.pop(sock, None)

    def note_phase(self, sock: socket.socket, phase: Phase) -> None:
        """Note what a connection is doing from now on."""
        with self._lock:
            self._forget_phase(sock)
            if phase is Phase.IDLE:
                self._idle[sock] = None
            elif phase is Phase.READING:
                self._reading[sock] = None

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
        sock.close()
        with self._lock:
            self._open.pop(sock, None)
            self._forget_phase(sock)
            if self._waiting_count:
                self._waiting_count -= 1
            else:
                self._free_count += 1

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


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # not SSLSocket's own shutdown, which takes TLS away under the thread that reads
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
