"""The broker's clock, which follows the program's time and which tests move; and real time.

Two kinds of time meet in a broker. Tokens expire by its clock, so that a test can let hours pass at
once. Limits of connections and faults use real time, which protects the process itself.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Protocol

__all__ = ["LAST_MOMENT", "Clock", "SupportsClock", "real_seconds"]

LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999, in Unix seconds. HTTP and RFC 3339 have no later date."""


class SupportsClock(Protocol):
    """The clock of a broker; `Clock` is the default one.

    The broker calls it from many threads, so an implementation must be thread-safe.
    """

    def now(self) -> float:
        """Return the time in Unix seconds."""
        ...

    def advance(self, seconds: float) -> None:
        """Move the time forward.

        A test calls it to let tokens expire. The broker itself calls it only for `Fault.latency`.
        """
        ...


class Clock:
    """`time.time` plus the seconds by which it was advanced; thread-safe.

    It calls `time.time` each time, so that it follows freezegun and time-machine.
    """

    def __init__(self) -> None:
        self._offset_seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time in Unix seconds."""
        # No lock: a float is read in one step, so a reader sees the offset before or after an
        # advance.
        return time.time() + self._offset_seconds

    @property
    def advanced_seconds(self) -> float:
        """By how many seconds the clock was advanced since it was made or reset."""
        return self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Move the broker's time forward by a number of seconds, without waiting.

        It moves the broker only: the client's clock stays. `Broker.travel` moves both. Raises
        ValueError if the number is negative, because a broker's time never goes back, or infinite.
        """
        # Written so that NaN is rejected, too: each comparison with NaN is false.
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a clock only moves forward; cannot advance it by {seconds} s")
        with self._lock:
            # `+=` reads and then writes: of two advances at once, one could otherwise be lost.
            self._offset_seconds += seconds

    def reset(self) -> None:
        """Return to the program's own time."""
        with self._lock:
            self._offset_seconds = 0.0


def real_seconds() -> float:
    """Return monotonic seconds of real time, even in a test that has frozen time.

    freezegun replaces `time.time`, `time.monotonic` and others, but not `time.clock_gettime`. The
    server's own time limits need real time: with frozen time no limit would ever be reached.

    Only the difference between two results has a meaning.
    """
    if sys.platform == "win32":  # it has no clock_gettime
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_MONOTONIC)
