"""The connection on which a host reads requests and writes answers."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import tempfile
from collections import deque
from pathlib import Path

__all__ = ["HostConnection", "HostSocket"]

_LONGEST_SOCKET_PATH = 100  # sockaddr_un has 108 bytes, and 104 on macOS


class HostSocket:
    """Listening socket below a folder, to which a host connects.

    A listener, not one connected pair: a client may close every descriptor of its process, and the
    host then connects again.
    """

    def __init__(self, folder: Path) -> None:
        self._short_folder: tempfile.TemporaryDirectory[str] | None = None
        self.path = folder / f"host-{secrets.token_hex(4)}.socket"
        if len(os.fsencode(self.path)) > _LONGEST_SOCKET_PATH:
            # In /tmp whatever TMPDIR says, because the folder that it names may be the long part.
            self._short_folder = tempfile.TemporaryDirectory(prefix="mb-", dir="/tmp")
            self.path = Path(self._short_folder.name) / "host.socket"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen()

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.listener.close()
        self.path.unlink(missing_ok=True)
        if self._short_folder is not None:
            self._short_folder.cleanup()


class HostConnection:
    """Requests to the current host, and ``lines``, its answers that were read.

    A host may connect several times. A request that is lost with its connection is sent again when
    the host is connected again.
    """

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque()
        self._secret = ""
        self._source: socket.socket | None = None
        self._sent = 0
        self._unsent = self._last_request = b""

    @property
    def source(self) -> socket.socket | None:
        """The socket of the host, if it is connected."""
        return self._source

    def begin(self) -> str:
        """Forget the current host; return the secret by which the next one introduces itself."""
        # A new secret for each host: the process of an earlier client may still try to connect.
        self._secret = secrets.token_hex()
        self.lines.clear()
        self._source, self._sent, self._unsent = None, 0, b""
        return self._secret

    def send(self, request: bytes) -> None:
        """Send a request to the host, or store it until the host is connected."""
        # A line that is there before the request is not its answer.
        self.lines.clear()
        self._sent += 1
        self._last_request = request
        if self._source is None:
            self._unsent = request
        else:
            with contextlib.suppress(OSError):  # the host connects again, or its end is seen
                self._source.sendall(request)

    def receive(self, source: socket.socket, line: bytes) -> None:
        """Take a line of the host, or of a new connection.

        A new connection becomes the host's only by a greeting with the secret.
        """
        if source is self._source:
            self.lines.append(line)
        elif (lines_read := self._lines_read_by(line)) is not None:
            self._source, unsent = source, self._unsent
            # A host that has read every request still works on the last one. Sent again, that
            # request would be executed twice.
            if not unsent and 0 <= lines_read < self._sent:
                unsent = self._last_request  # the request was lost with the last connection
            self._unsent = b""
            with contextlib.suppress(OSError):
                source.sendall(unsent)

    def _lines_read_by(self, greeting: bytes) -> int | None:
        """Return how many requests the host has read; None if the greeting has another secret."""
        try:
            members = json.loads(greeting)
            # Any process of this user can connect to the socket; the secret identifies the host.
            is_ours = hmac.compare_digest(str(members["secret"]), self._secret)
            return int(members["read"]) if is_ours else None
        except (ValueError, KeyError, TypeError):
            return None

    def lose(self, source: socket.socket) -> None:
        """Forget that socket if it is the host's."""
        if source is self._source:
            self._source = None
