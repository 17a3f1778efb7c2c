"""State of the host that a client may change, and that the next client must find unchanged."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

__all__ = ["UMASK", "ProcessState"]

UMASK = 0o022
"""Umask at a client's start: files that the client does not protect are readable by others."""


class ProcessState:
    """State to restore: environment, umask, working directory, defaults of socket and tempfile.

    The environment is that of the process when the object is made, or when it is saved again. A
    client that reads its settings from the environment would otherwise find those of another one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = dict(os.environ)

    def save_environment(self) -> None:
        """Restore the process's current variables from now on."""
        self._environment = dict(os.environ)

    def save_variable(self, name: str) -> None:
        """Restore the current value of that variable from now on, which the kit has changed."""
        self._environment.pop(name, None)
        if name in os.environ:
            self._environment[name] = os.environ[name]

    def restore(self) -> None:
        """Undo a client's changes."""
        # Compared first, because setting a variable is a call of putenv. A thread that a former
        # client left may read the environment at the same time.
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        # A default timeout that one client sets would also end the requests of the next.
        socket.setdefaulttimeout(None)
        os.umask(UMASK)
        os.chdir(self._folder)
        # gettempdir() reads TMPDIR once only; it must read the restored environment.
        tempfile.tempdir = None
