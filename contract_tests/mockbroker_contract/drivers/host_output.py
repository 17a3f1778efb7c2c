"""Output of a Python client and of the processes that it started."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["Output"]

# A client that prints without end must not fill the memory of the judging process.
_KEPT_OUTPUT = 4_000_000
_STDERR = 2


class Output:
    """Latest part of a stream of output, addressed by byte position.

    Positions count from the start of the process, so a caller can ask for what came after its own
    call. Only the latest part is kept. Only the thread that pumps may add.
    """

    def __init__(self, is_debugged: Callable[[], bool]) -> None:
        self._is_debugged = is_debugged
        self._kept = bytearray()
        self.position = 0
        """Number of bytes received so far."""
        self.show: Callable[[bytes], None] = lambda _: None
        """Callback for each piece as it is read."""

    def add(self, piece: bytes) -> None:
        """Store a piece and pass it on."""
        self.position += len(piece)
        self._kept += piece
        del self._kept[:-_KEPT_OUTPUT]
        if self._is_debugged():
            os.write(_STDERR, piece)  # unchanged, because the user reads the debugger's prompt
        else:
            self.show(piece)

    def since(self, position: int) -> str:
        """Return the output after that position, the latest 4 MB at most.

        Bytes that are not UTF-8 are replaced. The result is empty for a position that has not been
        reached.
        """
        wanted = max(self.position - position, 0)
        kept = bytes(self._kept)
        return kept[len(kept) - min(wanted, len(kept)) :].decode("utf-8", "replace")
