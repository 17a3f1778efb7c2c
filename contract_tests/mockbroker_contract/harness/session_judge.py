"""Judgement of a client session: its own clause, and every other clause in passing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NoReturn

from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker.contract.judging import judge_trace
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Exchange, Trace
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.endings import MAX_REQUESTS, ContractBreached, TooManyRequests
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import Recorder
from mockbroker_contract.harness.run import ContractRun

__all__ = ["SessionJudge"]


class SessionJudge:
    """Judge of one client session.

    A breach of ``clause`` raises ContractBreached; any other breach is noted in the run for its own
    clause. ``elsewhere`` names clauses that are judged in another way.
    """

    def __init__(
        self, run: ContractRun, recorder: Recorder, clause: Clause, elsewhere: tuple[Clause, ...]
    ) -> None:
        self._run = run
        self._recorder = recorder
        self.clause = clause
        self.elsewhere = elsewhere

    def fail(self, breaches: Sequence[Breach], *, is_delayed: bool) -> NoReturn:
        """Raise ContractBreached with the steps and exchanges so far."""
        raise self._breached(breaches, is_delayed=is_delayed)

    def breach_of(
        self,
        clause: Clause,
        what: str,
        expected: str,
        exchanges: Iterable[Exchange],
        *,
        hint: str = "",
        is_delayed: bool,
    ) -> NoReturn:
        """Raise ContractBreached for that clause, with the exchanges that show the breach."""
        numbers = tuple(exchange.number for exchange in exchanges)
        breach = Breach(clause.id, what, expected, (hint,) if hint else (), exchanges=numbers)
        self.fail([breach], is_delayed=is_delayed)

    def judge(self, trace: Trace, *, own: bool, is_delayed: bool) -> None:
        """Judge a complete trace. Raises ContractBreached for the own clause, if ``own``."""
        not_here = {clause.id for clause in self.elsewhere}
        found = []
        for breach in judge_trace(trace, self._run.settings.profile):
            if breach.clause_id == self.clause.id:
                found.append(breach)
            # A client breaks a clause in hundreds of requests, and its steps take long to mask.
            elif breach.clause_id not in not_here and not self._run.has_noted(breach.clause_id):
                self._run.note(self._breached([breach], is_delayed=is_delayed))
        # After the loop, so that breaches of other clauses are noted before the exception.
        if found and own:
            self.fail(found, is_delayed=is_delayed)

    def stopped(self, flood: TooManyRequests) -> None:
        """Note that a use led to too many requests; raise ContractBreached if that is judged."""
        bounded = clauses.errors.BOUNDED
        # As many as show that the limit was exceeded: the last one may have come while the client
        # was being stopped.
        numbers = tuple(exchange.number for exchange in flood.exchanges[: MAX_REQUESTS + 1])
        breach = Breach(
            bounded.id,
            f"the client sent {MAX_REQUESTS} requests in one use and went on, until mockbroker "
            "stopped it",
            f"at most {MAX_REQUESTS} requests, then an error",
            exchanges=numbers,
        )
        breached = self._breached([breach], is_delayed=False)
        # Without those that came while the client was being stopped: their number is chance.
        breached.records = tuple(each for each in breached.records if each.number <= numbers[-1])
        if self.clause is bounded:
            raise breached
        self._run.note(breached)

    def must_be_of_this_broker(self, outcome: Outcome, *, is_delayed: bool) -> None:
        """Raise if the client presented a token of another broker: this case is then invalid."""
        isolation = clauses.cache.ISOLATION
        # A case that leads the client to a second broker expects tokens of that one.
        if isolation in self.elsewhere:
            return
        presented = outcome.presented or ""
        if outcome.operation == REQUEST:
            # The header has a scheme before the token, which `signing.bearer` judges.
            presented = presented.rpartition(" ")[2]
        # This broker knows its own tokens, so only an unknown one can be another broker's.
        if outcome.token is not None or not self._run.brokers.issued_by_another(presented):
            return
        breach = Breach(
            isolation.id,
            "the client presented a token that another broker issued to another client",
            "a token of its own",
        )
        if self.clause is isolation:
            self.fail([breach], is_delayed=is_delayed)
        self._run.note(self._breached([breach], is_delayed=is_delayed))
        # What follows would judge a token whose lifetime this broker did not set.
        raise NotTested("the client presented another client's token", blocked_by=isolation)

    def _breached(self, breaches: Sequence[Breach], *, is_delayed: bool) -> ContractBreached:
        breached = ContractBreached(
            tuple(self._without_secrets(breach) for breach in breaches),
            self._recorder.steps(),
            self._recorder.records(),
        )
        breached.details = self._recorder.traceback
        breached.is_delayed = is_delayed
        return breached

    def _without_secrets(self, breach: Breach) -> Breach:
        texts = (breach.what, breach.expected, *breach.hints)
        what, expected, *hints = self._recorder.masked(texts)
        return replace(breach, what=what, expected=expected, hints=tuple(hints))
