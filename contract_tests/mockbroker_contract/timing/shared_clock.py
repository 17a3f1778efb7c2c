"""The virtual clock, in memory that the judging process and the client's host both map."""

from __future__ import annotations

import mmap
import threading
from pathlib import Path

__all__ = ["SharedClock"]

_BYTES = 64
# Integers, as freezegun's dates have no finer unit: sums of floats would differ between the two
# processes.
_MICROSECONDS = 10**6
_JUDGE, _HOST, _DEBUGGER, _WALL_OFFSET = range(4)


class SharedClock:
    """Count of microseconds since 1970, the sum of one cell per process.

    Each cell has one writer, and the processor writes an aligned cell of 8 bytes at once. So no
    lock is needed across processes. Children that a client forks share its cell. If two of them
    sleep at the same moment, one of the two additions may be lost. The memory stays mapped when a
    client closes every descriptor. Safe to use from many threads.
    """

    def __init__(self, path: Path, *, is_host: bool) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _BYTES)
        self._cells = memoryview(self._memory).cast("q")
        self._own = _HOST if is_host else _JUDGE
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, start: int) -> SharedClock:
        """Create the file, and return the clock that starts at that time in Unix seconds.

        The file has to stay as long as a host may be started: each host maps it again.
        """
        path.write_bytes(bytes(_BYTES))
        clock = cls(path, is_host=False)
        clock.advance(start)
        return clock

    @property
    def microseconds(self) -> int:
        """The exact time in microseconds since 1970."""
        return self._cells[_JUDGE] + self._cells[_HOST]

    def now(self) -> float:
        """Return the time in Unix seconds, rounded as freezegun rounds it for the client.

        Both processes must get the same float, or a token would expire in one and not in the other.
        """
        seconds, rest = divmod(self.microseconds, _MICROSECONDS)
        return seconds + rest / _MICROSECONDS

    def advance(self, seconds: float) -> None:
        """Move the clock forward by that many seconds.

        Only the cell of this process changes, so the other process needs no lock.
        """
        # The lock is for threads of this process: += reads and writes in two steps.
        with self._lock:
            self._cells[self._own] += round(seconds * _MICROSECONDS)

    @property
    def wall_microseconds(self) -> int:
        """The time that the client's wall clock shows, in microseconds since 1970.

        It differs from the true time while the wall clock is set wrong.
        """
        return self.microseconds + self._cells[_WALL_OFFSET]

    def set_wall_clock(self, offset_seconds: float) -> None:
        """Set the client's wall clock so many seconds ahead of the true time.

        Only the judging process may call it. Monotonic clocks do not change.
        """
        self._cells[_WALL_OFFSET] = round(offset_seconds * _MICROSECONDS)

    @property
    def is_debugged(self) -> bool:
        """Whether the client has entered a debugger, so that deadlines must wait for the user."""
        return bool(self._cells[_DEBUGGER])

    @is_debugged.setter
    def is_debugged(self, value: bool) -> None:
        self._cells[_DEBUGGER] = value
