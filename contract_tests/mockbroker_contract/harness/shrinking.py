"""Limit on the search for a simpler example after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import hypothesis.errors

from mockbroker.report.steps import NotRepeated
from mockbroker_contract.drivers.failures import ScenarioEnded
from mockbroker_contract.harness.budget import Budget, OutOfTime
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.isolation.draws import without_constants_of_modules

__all__ = ["ShrinkLimit"]

Drawn = TypeVar("Drawn")


class _LimitReached(BaseException):
    """End of the search; not an Exception, so that Hypothesis does not catch it."""


class ShrinkLimit:
    """Limit that ends the search for a simpler example after so many more attempts.

    Attempts are counted, not seconds, so that the result does not depend on the machine's speed.
    Only the budget of the whole run ends the search earlier. A client that hung is not tried again,
    because each attempt would take a whole deadline.

    One limit is for one exploration. Not safe for several threads, as Hypothesis runs one attempt
    at a time.
    """

    def __init__(self, max_attempts: int, budget: Budget) -> None:
        self._left = max_attempts
        self._budget = budget
        self._is_reached = False
        self._simplest: ScenarioEnded | None = None

    def count_attempt(self) -> None:
        """Count an attempt, at its beginning; end the search once the limit is reached.

        Raises OutOfTime if the run's budget is used up.
        """
        # Between attempts only: an attempt that is interrupted would leave the client's process in
        # use.
        self._budget.require()
        # Attempts before the first failure are examples, which Hypothesis limits by itself.
        if self._simplest is not None:
            if not self._left:
                self._is_reached = True
                raise _LimitReached
            self._left -= 1

    def keep(self, ended: ScenarioEnded, *, is_final: bool = False) -> None:
        """Store a failure; Hypothesis makes each one simpler than those before.

        Hypothesis simplifies from one failure to the next, so the last one is the simplest.
        """
        self._simplest = ended
        if is_final or ended.is_costly:
            # The next attempt ends the search; ending it here would lose the failure that is just
            # raised.
            self._left = 0

    def limited(self, run_case: Callable[[Drawn], None]) -> Callable[[Drawn], None]:
        """Wrap a test case so that its attempts are counted and its failures stored."""

        def run_within_limit(drawn: Drawn) -> None:
            self.count_attempt()
            try:
                run_case(drawn)
            except ScenarioEnded as ended:
                self.keep(ended)
                raise

        return run_within_limit

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Apply the limit to all attempts in the context; raise the simplest failure.

        A failure counts even if a repetition of the same steps passes. Raises OutOfTime if the
        budget was used up before any attempt failed.
        """
        try:
            with without_constants_of_modules():
                yield
        # Flaky: a repetition of the failing example passed. A failure that occurs sometimes is a
        # failure.
        except (_LimitReached, OutOfTime, hypothesis.errors.Flaky) as end:
            if self._simplest is None:
                raise
            # Hypothesis reports Flaky for an attempt that the limit ended before the first draw.
            is_cut_short = self._is_reached or isinstance(end, OutOfTime)
            if not is_cut_short and isinstance(self._simplest, ContractBreached):
                self._simplest.steps += (NotRepeated(),)
            raise self._simplest from None
