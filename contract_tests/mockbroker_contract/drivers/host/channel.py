"""The host's end of the conversation: JSON lines on a descriptor that only the host uses."""

from __future__ import annotations

import _socket
import fcntl
import json
import os
import resource
import select

__all__ = ["Channel"]

# A client may patch these for its own concurrency (gevent, eventlet); the channel must not change.
_read, _write, _fstat, _close = os.read, os.write, os.fstat, os.close

_PIECE = 65_536
_HIGHEST_FOR_SELECT = 1024  # FD_SETSIZE


class Channel:
    """Channel that reads requests and writes answers, one JSON value a line, on a Unix socket.

    A client may close every descriptor it finds, and open others that get the same numbers. So each
    access compares the descriptor's device and inode with those of the opened socket. If they
    differ, the channel connects to ``path`` again.

    The first line on each connection is a greeting: the ``secret`` that the judging process
    expects, and how many requests were read so far. The judging process then repeats a request that
    was lost with the connection.

    Not safe for several threads: the host's main thread is the only user. Waiting has no deadline,
    because the judging process kills a host that is too late.
    """

    def __init__(self, path: str, secret: str) -> None:
        self._path = path
        self._secret = secret
        self._rest = b""
        self._lines_read = 0
        self._connect()

    def _connect(self) -> None:
        # The class of C: a test run that forbids sockets has changed the one in Python.
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.connect(self._path)
        self._descriptor = _out_of_the_way(connection.detach())
        self._identity = self._identity_now()
        # Half a line is lost with its connection; the judging process sends the whole request
        # again.
        self._rest = b""
        greeting = {"secret": self._secret, "read": self._lines_read}
        self._send(json.dumps(greeting).encode() + b"\n")

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            status = _fstat(self._descriptor)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _ensure_connected(self) -> None:
        # The number alone proves nothing: after a close(), the next open() gets the same number.
        if self._identity_now() != self._identity:
            self._connect()

    def read_line(self) -> bytes | None:
        """Wait for the next line; return None once the judging process has closed its end.

        Blocks without a deadline. Reconnects as often as needed; raises OSError if the judging
        process no longer listens.
        """
        while b"\n" not in self._rest:
            self._ensure_connected()
            # Looked up each time: if a client has patched select, its green threads run while the
            # host waits. They could not run during a blocking read().
            select.select([self._descriptor], [], [])
            if self._identity_now() != self._identity:
                continue  # a thread of the client closed it while the host waited
            piece = _read(self._descriptor, _PIECE)
            if not piece:
                return None
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        self._lines_read += 1
        return line

    def write_line(self, line: bytes) -> None:
        """Send a line. Raises OSError if the judging process has closed the connection.

        Returns when the line is in the socket's buffer, not when it was read.
        """
        self._ensure_connected()
        self._send(line + b"\n")

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            # write() may take a part only, for instance if a signal interrupts it.
            left = left[_write(self._descriptor, left) :]

    def close(self) -> None:
        """Close the descriptor, if it is still the channel's own.

        A descriptor with that number that belongs to the client stays open.
        """
        if self._identity_now() == self._identity:
            _close(self._descriptor)


def _out_of_the_way(descriptor: int) -> int:
    """Move the connection to a high descriptor number.

    Objects of the client may still hold the numbers of descriptors that were closed under them.
    They may write to these numbers or close them. The numbers are low, because the system assigns
    the lowest free number.
    """
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _HIGHEST_FOR_SELECT)
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, limit * 3 // 4)
    except (OSError, ValueError, OverflowError):  # the limit allows no such number
        return descriptor
    _close(descriptor)
    return high
