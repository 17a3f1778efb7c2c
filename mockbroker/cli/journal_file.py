"""The journal file: a line of JSON for each exchange, with secrets and tokens masked.

Unlike the journal in memory it is never cut, and other programs can read it while the broker runs.

A crash may leave the last line unfinished; the next start ends that line. The fields of a line are
named in `mockbroker.broker.exchange_view`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import msgspec

from mockbroker.broker.exchange_view import iso_time, view_of
from mockbroker.model.exchange import Exchange
from mockbroker.model.masking import Mask

__all__ = ["JournalFile"]


def _is_unfinished(path: Path) -> bool:
    """Return whether the file exists and ends in the middle of a line, as after a crash.

    A device or a pipe has no end to look at, so the answer is False.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read() != b"\n"


class JournalFile:
    """A file to which exchanges are appended, one line each. Thread-safe.

    Only its owner can read a new file (mode 0600); an existing file keeps its mode. An unfinished
    last line is ended first. Raises OSError if the file cannot be opened or is a symbolic link.
    Another user with write access to the directory could have made such a link to any file.
    """

    def __init__(self, path: Path, mask: Mask) -> None:
        # Before the file is opened, because a descriptor for appending cannot read.
        unfinished = _is_unfinished(path)
        # Unbuffered: a line is in the file before the client has its response, and a kill loses
        # none.
        self._file = os.fdopen(_open(path), "ab", buffering=0)
        self._mask = mask
        self._lock = threading.Lock()
        if unfinished:
            self._write_all(b"\n")

    @property
    def shared_mode(self) -> int:
        """The permissions of the file if its group or other users may read it; otherwise 0."""
        status = os.fstat(self._file.fileno())
        # A device or a pipe has other permissions, and Windows reports modes that mean nothing.
        is_shared = stat.S_ISREG(status.st_mode) and os.name == "posix" and status.st_mode & 0o044
        return stat.S_IMODE(status.st_mode) if is_shared else 0

    def write(self, exchange: Exchange) -> None:
        """Append an exchange. Raises OSError if writing fails."""
        self._append(msgspec.to_builtins(view_of(exchange, self._mask)))

    def write_refusal(self, received_at: float, why: str) -> None:
        """Append a request that reached no broker, because it was malformed or too large.

        Raises OSError if writing fails.
        """
        self._append({"received_at": iso_time(received_at), "refused": why})

    def _append(self, row: dict[str, Any]) -> None:
        """Write an object as one line, under the lock."""
        # ASCII only, so that any tool can read the file, whatever its locale is. Made before the
        # lock is taken, because masking a large body takes a while.
        line = json.dumps(row).encode()
        with self._lock:
            self._write_all(line + b"\n")

    def _write_all(self, data: bytes) -> None:
        """Write all of the data. The caller holds the lock, or is the only user of the file."""
        while data:  # an unbuffered file may write only a part
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: Path) -> int:
    """Open a file for appending; return its descriptor.

    Raises OSError for a symbolic link to a file. Links to devices and pipes are followed:
    /dev/stdout is one.
    """
    # O_APPEND: several processes may write to one journal, and the kernel puts each line at the
    # end. The mode is set on creation, because a chmod afterwards would leave a moment in between.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    no_link = getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags | no_link, 0o600)
    except OSError as error:
        # ELOOP is what O_NOFOLLOW reports for a symbolic link.
        if error.errno != errno.ELOOP:
            raise
        if not path.exists() or path.is_file():
            text = "it is a symbolic link; name the file that it leads to"
            raise OSError(error.errno, text, str(path)) from error
    return os.open(path, flags)  # a link to a device or a pipe, such as /dev/stdout
