"""Exploration of a clause: test cases that are chosen, and those that Hypothesis draws."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import hypothesis
from hypothesis import strategies as st

from mockbroker_contract.drivers.failures import NotTested, ScenarioEnded
from mockbroker_contract.harness.brokers import Brokers
from mockbroker_contract.harness.budget import Budget
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.findings import Findings
from mockbroker_contract.harness.replay import Replays, attach_example, fitting, samples_of
from mockbroker_contract.harness.settings import RunSettings
from mockbroker_contract.harness.shrinking import ShrinkLimit
from mockbroker_contract.harness.situation import Situation

__all__ = ["Explorer"]

Drawn = TypeVar("Drawn")

_WIDE = 4
"""How many times as many examples a clause gets where examples find what no list of cases does."""


@dataclass(frozen=True, slots=True)
class Explorer:
    """Explorer that tries test cases within the settings and the budget of a run.

    It has no state: what is found goes to ``findings``. Safe to use from several threads.
    """

    settings: RunSettings
    budget: Budget
    replays: Replays
    brokers: Brokers
    findings: Findings

    def try_each(
        self, cases: Iterable[tuple[Drawn, str]], case_of: Callable[[Drawn, str], Situation]
    ) -> None:
        """Try a few cases, each with an operation of the client.

        Raises NotTested if, for one of the operations, none met the precondition. Stops at the
        first failure, whose exception is raised. Cases are not simplified: they are chosen to be
        simple.
        """
        attempts = self._by_operation(case_of)
        for case in cases:
            attempts(case)
        attempts.need_one_that_met()

    def try_side_by_side(
        self, cases: Sequence[tuple[Drawn, str]], case_of: Callable[[Drawn, str], Situation]
    ) -> None:
        """Try a few cases concurrently, in threads: for cases that only wait.

        Raises what `try_each` raises. All cases are run to their end, so the report has the
        breaches that each noted.
        """
        attempts = self._by_operation(case_of)
        # Each case waits in real time, so together they take as long as the longest.
        with ThreadPoolExecutor(len(cases)) as pool:
            # All are started at once, so that each waits beside the others.
            tried = [pool.submit(attempts, case) for case in cases]
        for each in tried:
            each.result()
        attempts.need_one_that_met()

    def _by_operation(
        self, case_of: Callable[[Drawn, str], Situation]
    ) -> _AttemptsByOperation[tuple[Drawn, str]]:
        return _AttemptsByOperation(
            self, lambda case: case_of(case[0], case[1]), lambda case: case[1]
        )

    def try_all(
        self,
        strategy: st.SearchStrategy[Drawn],
        case_of: Callable[[Drawn], Situation],
        *,
        first: Sequence[Drawn],
        clause_id: str,
        operations: Sequence[str],
        is_wide: bool = False,
    ) -> None:
        """Try the ``first`` examples and those that Hypothesis draws, more if ``is_wide``.

        The stored example of a known failure of ``clause_id`` comes before them. Raises the
        exception of the simplest failing example. Raises NotTested if, for one of the operations,
        no example met the precondition of the clause.
        """

        def operation_in(case: object) -> str:
            """Return the last part of a case, if that is an operation."""
            last = case[-1] if isinstance(case, tuple) and case else ""
            return last if isinstance(last, str) and last in operations else ""

        attempts = _AttemptsByOperation(self, attach_example(case_of), operation_in)

        def try_again(plain: object) -> None:
            samples = [*first, *samples_of(strategy)]
            attempts(fitting(plain, samples, operations))

        # First, because a known failure that still fails needs no search.
        self.replays.try_example(clause_id, try_again)
        for drawn in first:
            attempts(drawn)
        limit = self.shrink_limit()
        test = hypothesis.given(strategy)(limit.limited(attempts.__call__))
        test = hypothesis.seed(self.seed_for(clause_id))(test)
        with limit.in_force():
            self.hypothesis_settings(is_wide=is_wide)(test)()
        attempts.need_one_that_met()

    def hypothesis_settings(self, *, is_wide: bool = False) -> hypothesis.settings:
        """Return Hypothesis's settings, with as many examples as the user asks for.

        A clause whose situations are too many to enumerate ``is_wide``, and gets more of them.

        Every setting that can change a verdict is given: the user's own profile, loaded for the
        same pytest run, would fill in the others.
        """
        return hypothesis.settings(
            max_examples=self.settings.examples * (_WIDE if is_wide else 1),
            # Hypothesis limits an example to milliseconds by default; a client has deadlines of its
            # own here.
            deadline=None,
            # A verdict must not depend on what an earlier run has found.
            database=None,
            # Several failures would come as an ExceptionGroup; a clause has one finding.
            report_multiple_bugs=False,
            # They are about slow or large draws; here the client takes the time, and not the
            # strategy.
            suppress_health_check=list(hypothesis.HealthCheck),
            # Without Phase.explain, which would run the client again for a text that no report
            # shows.
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            # See seed_for().
            derandomize=False,
            verbosity=hypothesis.Verbosity.normal,
            # The report has a command of its own that repeats the case.
            print_blob=False,
        )

    def seed_for(self, clause_id: str) -> int:
        """Return the seed of a clause's examples: the user's, or a constant.

        Hypothesis could derandomize instead. Its draws would then depend on the source of the test.
        Any change of the kit could then change the verdict on a rare failure.
        """
        # Not hash(), whose value for a string differs from process to process.
        return zlib.crc32(clause_id.encode()) if self.settings.seed is None else self.settings.seed

    def shrink_limit(self) -> ShrinkLimit:
        """Return a new limit, for one exploration."""
        return ShrinkLimit(self.settings.shrinks, self.budget)


class _Attempts(Generic[Drawn]):
    """Repeated attempts of a case, with the fact whether one met its precondition.

    Safe to use from several threads: its two flags change in one direction only.
    """

    def __init__(self, explorer: Explorer, case_of: Callable[[Drawn], Situation]) -> None:
        self._explorer = explorer
        self._case_of = case_of
        self._obstacle: NotTested | None = None
        self._is_met = False

    def __call__(self, drawn: Drawn) -> None:
        self._explorer.budget.require()
        try:
            situation = self._try_with_resources(drawn)
        except NotTested as obstacle:
            # Each further case would take a deadline as well, and come to the same result.
            if obstacle.is_costly:
                raise
            # The first one is reported: the later cases often fail by the same cause, with fewer
            # details.
            self._obstacle = self._obstacle or obstacle
        except ContractBreached as breached:
            # Known at once, because a shared exploration asks which clauses were broken.
            self._explorer.findings.broken.add(breached.clause_id)
            raise
        else:
            # One case is enough: others may lack the situation, for instance where the client keeps
            # no token.
            self._is_met |= situation is Situation.MET

    def _try_with_resources(self, drawn: Drawn) -> Situation:
        """Try a case; discard a failure if this process had too few resources."""
        try:
            return self._try_fairly(drawn)
        except ScenarioEnded:
            # Asked before the failure is raised: the client is not its cause then.
            self._explorer.brokers.needs_resources()
            raise

    def _try_fairly(self, drawn: Drawn) -> Situation:
        """Try a case; repeat it once if a busy machine may have caused the failure."""
        try:
            return self._case_of(drawn)
        except ContractBreached as breached:
            # Once only: a client that is slow by itself fails again.
            if not breached.is_delayed:
                raise
            return self._case_of(drawn)

    def need_one_that_met(self) -> None:
        """Raise the first obstacle, or NotTested, unless a case met its precondition."""
        if not self._is_met:
            raise self._obstacle or NotTested("no test case met the situation of the clause")


class _AttemptsByOperation(Generic[Drawn]):
    """Attempts of cases, where each operation of the client has to meet the precondition.

    A client whose ``get_token`` is sound and whose ``request`` sends nothing would pass otherwise.
    ``operation_in`` returns the operation that a case uses. Safe to use from several threads.
    """

    def __init__(
        self,
        explorer: Explorer,
        case_of: Callable[[Drawn], Situation],
        operation_in: Callable[[Drawn], str],
    ) -> None:
        self._explorer = explorer
        self._case_of = case_of
        self._operation_in = operation_in
        self._attempts: dict[str, _Attempts[Drawn]] = {}

    def __call__(self, drawn: Drawn) -> None:
        # setdefault() is atomic, so that two threads use the same attempts.
        attempts = self._attempts.setdefault(
            self._operation_in(drawn), _Attempts(self._explorer, self._case_of)
        )
        attempts(drawn)

    def need_one_that_met(self) -> None:
        """Raise NotTested for the first operation for which no case met the precondition."""
        for attempts in self._attempts.values():
            attempts.need_one_that_met()
