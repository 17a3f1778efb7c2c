"""How long a simpler example is looked for once one has failed."""

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


class _Enough(BaseException):
    """Not an Exception, so that Hypothesis lets it through."""


class ShrinkLimit:
    """Ends the search for a simpler example after so many more plays.

    Plays are counted, not seconds, so that a slow machine tells the same story; only the budget of
    the whole run ends it earlier. A client that hung is not played again: that would take for ever.
    """

    def __init__(self, most_plays: int, budget: Budget) -> None:
        self._left = most_plays
        self._budget = budget
        self._is_reached = False
        self._simplest: ScenarioEnded | None = None

    def begin_play(self) -> None:
        """To be called at the beginning of each play; ends the search if it was long enough."""
        self._budget.require()
        if self._simplest is not None:
            if not self._left:
                self._is_reached = True
                raise _Enough
            self._left -= 1

    def keep(self, ended: ScenarioEnded, *, is_enough: bool = False) -> None:
        """Keep how a play failed; each is simpler than those before, as Hypothesis goes."""
        self._simplest = ended
        if is_enough or ended.is_costly:
            self._left = 0

    def limited(self, play: Callable[[Drawn], None]) -> Callable[[Drawn], None]:
        """The same play, counted and kept."""

        def play_within_limit(drawn: Drawn) -> None:
            self.begin_play()
            try:
                play(drawn)
            except ScenarioEnded as ended:
                self.keep(ended)
                raise

        return play_within_limit

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Around all plays. Raises how the simplest of those that failed ended.

        What a client did once counts, even if the same story does not end like that again. Raises
        OutOfTime if the budget was used up before any play failed.
        """
        try:
            with without_constants_of_modules():
                yield
        except (_Enough, OutOfTime, hypothesis.errors.Flaky) as end:
            if self._simplest is None:
                raise
            # Hypothesis calls a play flaky that the limit ended before anything was drawn.
            is_cut_short = self._is_reached or isinstance(end, OutOfTime)
            if not is_cut_short and isinstance(self._simplest, ContractBreached):
                self._simplest.steps += (NotRepeated(),)
            raise self._simplest from None
