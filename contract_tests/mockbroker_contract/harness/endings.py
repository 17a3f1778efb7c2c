"""Endings of a test case other than passing: a breach and a hang."""

from __future__ import annotations

from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Exchange
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.steps import Step
from mockbroker_contract.drivers.failures import ScenarioEnded

__all__ = ["ClientHung", "ContractBreached"]


class ContractBreached(ScenarioEnded):
    """The client broke the test case's own clause.

    ``steps`` are the recorded steps; ``records`` the latest exchanges, secrets masked.
    ``is_delayed`` is True if a use of the client failed after its timeout: a busy machine may be
    the cause.

    Several breaches of one clause may be in one: the first decides the message.
    """

    is_delayed = False

    def __init__(
        self,
        breaches: tuple[Breach, ...],
        steps: tuple[Step, ...] = (),
        records: tuple[ExchangeRecord, ...] = (),
    ) -> None:
        super().__init__(breaches[0].in_words)
        self.breaches, self.steps, self.records = breaches, steps, records

    def __str__(self) -> str:
        # The same mistake in several requests of a case is one line.
        return "\n".join(dict.fromkeys(map(str, self.breaches)))

    @property
    def clause_id(self) -> str:
        """The id of the clause that was broken."""
        return self.breaches[0].clause_id

    def finding(self, verdict: Verdict) -> Finding:
        """Return the report's finding on the clause that was broken."""
        return self.finding_on(self.clause_id, verdict)


class ClientHung(ScenarioEnded):
    """The client did not return, or sent requests without end, and was stopped.

    ``exchanges`` came during that use; ``is_flood`` is True if there were too many of them.

    A hang is a verdict of its own. Breaches of other clauses in the requests before it still count.
    """

    # Each attempt to simplify it would take a whole deadline.
    is_costly = True

    def __init__(
        self, reason: str, exchanges: tuple[Exchange, ...] = (), *, is_flood: bool = False
    ) -> None:
        self.exchanges, self.is_flood = exchanges, is_flood
        super().__init__(reason)
