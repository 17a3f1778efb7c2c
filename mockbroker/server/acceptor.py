"""Accepting connections, and the requests of those that wait for one.

Both go on if the process runs out of file descriptors. A broker under attack, or in a test that
opens many connections, must continue to answer. An ordinary loop would only fail to accept, again
and again, and use all processor time.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Union

from mockbroker.broker.clock import real_seconds
from mockbroker.server.intake import IDLE_LIMIT_SECONDS
from mockbroker.server.pool import ConnectionPool, Turn, Waiting
from mockbroker.server.ports import held_after, listen_on

__all__ = ["Acceptor"]

POLL_SECONDS = 1.0
"""The longest wait of the loop; it bounds the delay of a signal handler (see `Acceptor.run`)."""
SHORTAGE_POLL_SECONDS = 0.05
"""How often a loop without descriptors or threads tries again: a connection may end meanwhile."""
EXTRA_CLOSED = 8
"""How many more connections are closed at a shortage: the process may need descriptors too."""
# The process or the system has no more descriptors, or no memory for sockets (accept(2)).
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_log = logging.getLogger(__name__)

# To refuse connections or not, and what to set once that is done.
_Refusal = tuple[bool, threading.Event]


class Acceptor:
    """A loop that accepts connections from a listening socket and passes each to ``take``.

    It also answers the plain requests of the connections that it is to `watch`, one after the
    other. Threads that each wait for one connection would pass Python's lock to each other with
    every request, which costs a third of the requests a second with eight connections.

    Raises OSError if the process has no descriptors for the loop itself.

    One thread calls `run`. `interrupt`, `watch` and `set_refusing` may be called from any thread;
    `close` only after `run` has returned. While it refuses connections, ``listener`` is another
    socket that holds the port.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        pool: ConnectionPool,
    ) -> None:
        self.listener = listener
        self._take = take
        self._pool = pool
        self._logged_errors: set[int | None] = set()
        # What the loop is asked to do: to refuse connections or not, to watch one, or to end
        # (None). Its `put` takes no lock that a signal handler could wait for.
        self._orders: SimpleQueue[Union[_Refusal, Waiting, None]] = SimpleQueue()
        self._is_refusing = False
        self._runner: int | None = None
        # Each with the time of its latest request, in that order.
        self._watched: dict[Waiting, float] = {}
        self.shortages = 0
        """How many connections could not be accepted at first for want of descriptors or memory."""
        # The stack closes what was opened if a later step fails for want of descriptors. `pop_all`
        # keeps everything open once all steps have succeeded.
        with contextlib.ExitStack() as stack:
            self._reserve = stack.enter_context(_Reserve())
            # A socket pair, not a pipe: Windows can `select` on sockets only.
            self._wake_up, self._woken = socket.socketpair()
            stack.callback(self._wake_up.close)
            stack.callback(self._woken.close)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(self._woken, selectors.EVENT_READ)
            self._resources = stack.pop_all()

    def run(self) -> None:
        """Accept connections and answer requests until `interrupt` is called.

        It also closes silent connections while others wait for a thread.
        """
        self._runner = threading.get_ident()
        while True:
            # Python runs signal handlers in the main thread, which may be this one. A signal that
            # the kernel delivers to another thread does not interrupt `select`. The timeout lets
            # the handler run within a second.
            seconds = SHORTAGE_POLL_SECONDS if self._pool.is_crowded else POLL_SECONDS
            ready = [key for key, _ in self._selector.select(seconds)]
            for key in ready:
                if key.data is not None:
                    self._answer(key.data)
                elif key.fileobj is self._woken and self._obey():
                    return
                elif key.fileobj is self.listener and not self._is_refusing:
                    self._accept()
            self._end_idle()
            if self._pool.is_crowded:
                self._pool.make_room()

    def interrupt(self) -> None:
        """Make `run` return soon. Takes no lock, so a signal handler may call it."""
        self._order(None)

    def watch(self, waiting: Waiting) -> None:
        """Wait for the next request of a connection, and answer it if that needs no thread."""
        self._order(waiting)

    def set_refusing(self, *, refuses: bool) -> None:
        """Make the port refuse connections, or accept them again; return when it does.

        It is done at the next run of the loop if none is running: then it does not wait for long.
        """
        if self._runner == threading.get_ident():  # by a request that the loop itself answers
            self._refuse(refuses=refuses)
            return
        done = threading.Event()
        self._order((refuses, done))
        done.wait(POLL_SECONDS)

    def _order(self, order: _Refusal | Waiting | None) -> None:
        self._orders.put(order)
        with contextlib.suppress(OSError):
            self._wake_up.send(b".")

    def _obey(self) -> bool:
        """Do what the loop was asked to do; return whether it is to end."""
        # One byte for each order, so that a byte that is left wakes the loop again.
        self._woken.recv(1)
        order = self._orders.get()
        if order is None:
            return True
        if isinstance(order, tuple):
            refuses, done = order
            self._refuse(refuses=refuses)
            done.set()
        else:
            self._selector.register(order.sock, selectors.EVENT_READ, order)
            self._watched[order] = real_seconds()
        return False

    def _refuse(self, *, refuses: bool) -> None:
        if refuses and not self._is_refusing:
            self._selector.unregister(self.listener)
            self.listener = held_after(self.listener)
        elif self._is_refusing and not refuses:
            listen_on(self.listener)
            self._selector.register(self.listener, selectors.EVENT_READ)
        self._is_refusing = refuses

    def _answer(self, waiting: Waiting) -> None:
        """Answer what has arrived on a watched connection."""
        try:
            turn = waiting.answer_at_hand()
        except OSError:
            turn = Turn.ENDED
        except Exception:  # noqa: BLE001 - an exception would end the loop
            _log.exception("a connection failed by a mistake of the broker's own")
            turn = Turn.ENDED
        del self._watched[waiting]
        if turn is Turn.WAITS:
            self._watched[waiting] = real_seconds()  # at the end of the order
            return
        # Before another thread gets it, or its descriptor is closed and used again.
        self._selector.unregister(waiting.sock)
        (self._pool.resume if turn is Turn.NEEDS_THREAD else self._pool.end)(waiting)

    def _end_idle(self) -> None:
        """Close watched connections that have been idle for `IDLE_LIMIT_SECONDS`."""
        while self._watched:
            waiting, since = next(iter(self._watched.items()))
            if real_seconds() - since < IDLE_LIMIT_SECONDS:
                return
            del self._watched[waiting]
            self._selector.unregister(waiting.sock)
            self._pool.end(waiting)

    def close(self) -> None:
        """Close every descriptor but the listener's.

        The listener belongs to the server, which may close it earlier.
        """
        self._resources.close()

    def _accept(self) -> None:
        """Accept one connection; recover if the system cannot accept it."""
        try:
            # The reserve is opened before each accept. A shortage then shows here or in accept, and
            # either way the loop can free a descriptor for the waiting connection.
            self._reserve.hold()
            self._take(self.listener.accept()[0])
        except (BlockingIOError, ConnectionError):
            pass  # the client is gone already
        except OSError as error:
            self._recover(error)
        except MemoryError:
            self._recover(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))

    def _recover(self, error: OSError) -> None:
        """Close silent connections after a shortage and accept the waiting one, or pause.

        The listener stays readable while a peer waits. Without a pause the loop would use all
        processor time.
        """
        if error.errno not in self._logged_errors:
            # Each kind is logged once: a shortage may last for thousands of attempts.
            self._logged_errors.add(error.errno)
            _log.warning("cannot accept connections (%s): %s", error.strerror, _remedy(error))
        # Cleared before connections are closed: an end that comes in between sets the event again.
        self._pool.room.clear()
        if error.errno in SHORTAGES:
            self.shortages += 1
            self._pool.make_room(EXTRA_CLOSED)
            if self._reserve.release():  # its descriptor serves the waiting connection
                # Another thread may take the freed descriptor first. The connection then waits for
                # the next turn of the loop.
                with contextlib.suppress(OSError, MemoryError):
                    self._take(self.listener.accept()[0])
                return
        self._pool.room.wait(SHORTAGE_POLL_SECONDS)


class _Reserve:
    """A descriptor that is closed when a connection needs one and all others are in use.

    Not thread-safe: only the accepting thread uses it while the loop runs.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Open the descriptor unless it is open. Raises OSError if the process has none left."""
        if self._descriptor is None:
            self._descriptor = os.open(os.devnull, os.O_RDONLY)

    def release(self) -> bool:
        """Close the descriptor; return whether it was open."""
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
    """Return what the server does about an error, and what the user can do."""
    if error.errno == errno.EMFILE:
        return "the idlest are closed to make room; `ulimit -n` raises the limit of descriptors"
    if error.errno in SHORTAGES:
        return "the idlest are closed to make room"
    return "trying again"
