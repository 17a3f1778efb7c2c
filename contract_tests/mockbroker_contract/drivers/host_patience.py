"""How long the judging process waits for a host that does not answer."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mockbroker.broker.clock import real_seconds

__all__ = ["LOOK_AGAIN_SECONDS", "SECOND_LOOK", "SECOND_LOOK_AFTER_HANG", "Patience"]

# Seconds between two looks at a condition that no descriptor reports, such as a debugger.
LOOK_AGAIN_SECONDS = 0.2
_FIRST_LOOK, SECOND_LOOK, SECOND_LOOK_AFTER_HANG = 1.0, 10.0, 4.0
"""Seconds until the processor time of a silent host is first read, and read again.

The third value replaces the second after a client has hung once.
"""
_BUSY_SHARE = 0.25  # low, because other programs on the machine use the processor as well


class Patience:
    """Time limit for a host: its deadline, or less if it uses the processor without end.

    A deadline may be long because a client may wait for the broker. A client that uses the
    processor for seconds waits for nothing.

    Processor time is read when the host should have answered, and again when it is clear that it
    computes. A prompt answer costs no look into /proc.
    """

    def __init__(self, pid: int, deadline: float, computed: float) -> None:
        self._pid = pid
        self._second_look = computed
        self._began = real_seconds()
        self._until = self._began + deadline
        self._used_before: float | None = None

    def next_look(self) -> float:
        """Return the seconds until the next check is due."""
        now = real_seconds()
        # The wait ends at the next of these, so that no look is late and none is made between them.
        moments = (self._until, *(self._began + each for each in (_FIRST_LOOK, self._second_look)))
        return min((each - now for each in moments if each > now), default=LOOK_AGAIN_SECONDS)

    def is_over(self) -> bool:
        """Return whether the wait should end."""
        waited = real_seconds() - self._began
        if self._used_before is None and waited >= _FIRST_LOOK:
            self._used_before = _processor_seconds(self._pid)
        elif self._used_before is not None and waited >= self._second_look:
            used = _processor_seconds(self._pid) - self._used_before
            if used >= _BUSY_SHARE * (waited - _FIRST_LOOK):
                return True
        return real_seconds() >= self._until


def _processor_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds; 0 if it is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # The name of the program may have spaces and parentheses itself (proc_pid_stat(5)). So the
        # fields are counted from the last parenthesis.
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0
