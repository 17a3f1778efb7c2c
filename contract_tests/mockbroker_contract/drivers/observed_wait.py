"""Looks at what a silent client waits for, so that a wait without an end is not waited out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import Any

from mockbroker.broker.clock import real_seconds

__all__ = ["LOOK_SECONDS", "LOOK_SIGNAL", "ObservedWait", "WaitLooks"]

LOOK_SIGNAL = signal.SIGURG
"""The signal that asks a host what its client waits for; by default a process ignores it."""

# A client that works has answered long before, even on a busy machine. On such a machine, one that
# waits may have begun so late that only the later look sees it.
LOOK_SECONDS, _LATER = 2.0, 3
# A thread that was just about to go on has moved when it is looked at again.
_SECONDS_TO_SECOND_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class ObservedWait:
    """What a client was seen to wait for: a ``socket``, or the timers of its ``event loop``.

    ``limit_seconds`` is the limit of the wait, counted from its beginning; None without a limit.
    It was seen after ``seen_after_seconds`` of real time.
    """

    for_what: str
    limit_seconds: float | None
    seen_after_seconds: float


class WaitLooks:
    """Looks at a host that has not answered, by a signal to it; the host answers with a line.

    They are few and end early: a signal interrupts the client, and a limit in the kernel
    (SO_RCVTIMEO) begins again with each. ``last_seconds`` is when they end.

    ``found`` is the client's wait, once two looks have shown the same and it is certain that it
    lasts for the whole ``deadline``, in seconds of real time.
    """

    def __init__(self, pid: int, deadline: float) -> None:
        self._pid = pid
        self._deadline = deadline
        self._began = real_seconds()
        pairs = (LOOK_SECONDS, _LATER * LOOK_SECONDS)
        self._moments = [m for first in pairs for m in (first, first + _SECONDS_TO_SECOND_LOOK)]
        self.last_seconds = self._moments[-1]
        self._last: dict[str, Any] | None = None
        self.found: ObservedWait | None = None

    def seconds_to_next(self) -> float:
        """Return the seconds until the next look is due; ask the host first if one is due now."""
        waited = real_seconds() - self._began
        if self._moments and waited >= self._moments[0]:
            self._moments.pop(0)
            with contextlib.suppress(OSError):  # the host has ended
                os.kill(self._pid, LOOK_SIGNAL)
        return max(0.0, self._moments[0] - waited) if self._moments else self._deadline

    def take(self, line: bytes) -> bool:
        """Read a line of the host; return whether it is about a wait, and not an answer."""
        try:
            note = json.loads(line)["waits"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        if note is not None and note == self._last:
            limit = note["seconds"]
            if limit is None or limit >= self._deadline:
                # The nominal time of the look, so that the reports of two runs agree.
                is_first = len(self._moments) > 1
                seen_after = LOOK_SECONDS if is_first else _LATER * LOOK_SECONDS
                self.found = ObservedWait(note["for"], limit, seen_after)
        self._last = note
        return True
