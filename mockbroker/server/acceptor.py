"""Accepting connections, also when the process runs out of descriptors."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
from collections.abc import Callable

from mockbroker.server.pool import ConnectionPool

__all__ = ["Acceptor"]

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.05
ROOM = 8
"""How many connections are closed at once: descriptors that the rest of the process may need."""
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_log = logging.getLogger(__name__)


class Acceptor:
    """Accepts connections from a listening socket, and gives each to ``take``.

    Raises OSError if there are not even descriptors to begin with.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        pool: ConnectionPool,
    ) -> None:
        self._listener = listener
        self._take = take
        self._pool = pool
        self._said: set[int | None] = set()
        self.shortages = 0
        """How many connections met with a shortage of descriptors or memory so far."""
        with contextlib.ExitStack() as stack:
            self._reserve = stack.enter_context(_Reserve())
            self._wake_up, self._woken = socket.socketpair()
            stack.callback(self._wake_up.close)
            stack.callback(self._woken.close)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(self._woken, selectors.EVENT_READ)
            self._resources = stack.pop_all()

    def run(self) -> None:
        """Accept connections until `interrupt` is called."""
        while True:
            # A signal that another thread receives does not wake this one, whose turn it is to
            # handle it: so it looks around now and then.
            seconds = PAUSE_SECONDS if self._pool.is_crowded else LOOK_SECONDS
            ready = {key.fileobj for key, _ in self._selector.select(seconds)}
            if self._woken in ready:
                return
            if self._listener in ready:
                self._accept()
            if self._pool.is_crowded:
                self._pool.make_room()

    def interrupt(self) -> None:
        """Make `run` return soon; takes no lock, so that a signal handler may call it."""
        with contextlib.suppress(OSError):
            self._wake_up.send(b".")

    def close(self) -> None:
        """Close every descriptor but the listener's."""
        self._resources.close()

    def _accept(self) -> None:
        try:
            self._reserve.hold()
            self._take(self._listener.accept()[0])
        except (BlockingIOError, ConnectionError):
            pass  # the client is gone already
        except OSError as error:
            self._survive(error)
        except MemoryError:
            self._survive(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))

    def _survive(self, error: OSError) -> None:
        """Go on after a shortage: without a pause, the waiting peer would keep this thread busy."""
        if error.errno not in self._said:
            self._said.add(error.errno)
            _log.warning("cannot accept connections (%s): %s", error.strerror, _remedy(error))
        self._pool.room.clear()
        if error.errno in SHORTAGES:
            self.shortages += 1
            self._pool.make_room(ROOM)
            if self._reserve.release():  # let this one in meanwhile
                with contextlib.suppress(OSError, MemoryError):
                    self._take(self._listener.accept()[0])
                return
        self._pool.room.wait(PAUSE_SECONDS)


class _Reserve:
    """A descriptor that is closed to make room for a connection when there is no other."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Take the descriptor unless it is held. Raises OSError if there is none."""
        if self._descriptor is None:
            self._descriptor = os.open(os.devnull, os.O_RDONLY)

    def release(self) -> bool:
        """Give the descriptor back; False if it was not held."""
        if self._descriptor is None:
            return False
        os.close(self._descriptor)
        self._descriptor = None
        return True

    def __enter__(self) -> _Reserve:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _remedy(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "the idlest are closed to make room; `ulimit -n` raises the limit of descriptors"
    if error.errno in SHORTAGES:
        return "the idlest are closed to make room"
    return "trying again"
