"""Printing of a client's output: prefixed, escaped, and bounded."""

from __future__ import annotations

import sys
from codecs import getincrementaldecoder

from mockbroker.model.escaping import printable

__all__ = ["ClientOutputPrinter"]

# CI services cut logs at some megabytes. A client that logs without end must not push the report
# out of the part that they keep.
_MAX_CHARACTERS = 1_000_000


class ClientOutputPrinter:
    """Printer of whole lines on standard error, each with a prefix.

    The prefix distinguishes them from the kit's own lines. It also keeps commands of a CI service
    (``::error``) from the beginning of a line.

    At most a million characters are printed in a run, then a mark and nothing more. Not safe for
    several threads: the thread that reads the client's output is the only caller.
    """

    def __init__(self) -> None:
        # A pipe may deliver half of a character at the end of a piece; the incremental decoder
        # keeps that half until the next piece.
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._left = _MAX_CHARACTERS

    def add(self, piece: bytes) -> None:
        """Append a piece of output; print the lines that it completes.

        A line is printed when it is complete, so that lines of the kit never end up inside it.
        """
        *lines, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        for line in lines:
            self._print(line)
        # Output without a line break would otherwise grow in memory for the whole run.
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
