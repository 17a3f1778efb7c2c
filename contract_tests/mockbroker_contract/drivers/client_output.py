"""Printing of a client's output: prefixed, escaped, and bounded."""

from __future__ import annotations

import sys
from codecs import getincrementaldecoder

from mockbroker.model.escaping import printable

__all__ = ["ClientOutputPrinter"]

_MAX_CHARACTERS = 1_000_000


class ClientOutputPrinter:
    """Printer of whole lines on standard error, each with a prefix.

    The prefix distinguishes them from the kit's own lines. It also keeps commands of a CI service
    (``::error``) from the beginning of a line.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._left = _MAX_CHARACTERS

    def add(self, piece: bytes) -> None:
        """Append a piece of output; print the lines that it completes."""
        *lines, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        for line in lines:
            self._print(line)
        if len(self._rest) > _MAX_CHARACTERS:
            self._print(self._rest)
            self._rest = ""

    def _print(self, line: str) -> None:
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        end = "\n" if self._left > 0 else " … and so on\n"
        sys.stderr.write(f"client | {printable(line)}{end}")
        sys.stderr.flush()
