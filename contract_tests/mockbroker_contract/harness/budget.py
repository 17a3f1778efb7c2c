"""Budget of real time for one contract run."""

from __future__ import annotations

import math

from mockbroker.broker.clock import real_seconds

__all__ = ["Budget", "OutOfTime"]


class OutOfTime(BaseException):
    """The budget was used up before a clause could be judged.

    It derives from BaseException so that Hypothesis does not count it as a failing example.
    Handlers for a client's exceptions do not catch it either.
    """


class Budget:
    """Seconds of real time for one run, counted from construction; 0 means unlimited.

    A running test case is never interrupted, because it has deadlines of its own. The budget is
    checked before each clause and between its test cases. Safe to use from several threads.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # A monotonic clock: a change of the machine's time must not end a run.
        self._ends_at = real_seconds() + seconds if seconds else math.inf

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up."""
        return real_seconds() >= self._ends_at

    def require(self) -> None:
        """Raise OutOfTime once the budget is used up.

        Called in threads of side-by-side cases as well.
        """
        if self.is_spent:
            raise OutOfTime(f"out of time (budget of {self._seconds:g} s); raise --budget")
