"""How much real time one contract run may take."""

from __future__ import annotations

import math

from mockbroker.broker.clock import real_seconds

__all__ = ["Budget", "OutOfTime"]


class OutOfTime(BaseException):
    """The budget was used up before a clause could be judged.

    It derives from BaseException so that Hypothesis takes it for no failing example, and so that
    no handler for what a client raises catches it.
    """


class Budget:
    """Seconds of real time for one run, counted from when the budget is made; 0 is no limit.

    An example that has begun is never interrupted: it has deadlines of its own. The budget is
    looked at before a clause begins and between its examples. Safe to use from several threads.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = real_seconds() + seconds if seconds else math.inf

    @property
    def is_spent(self) -> bool:
        """Whether all of it is used up."""
        return real_seconds() >= self._ends_at

    def require(self) -> None:
        """Raise OutOfTime once the budget is used up."""
        if self.is_spent:
            raise OutOfTime(f"out of time (budget of {self._seconds:g} s); raise --budget")
