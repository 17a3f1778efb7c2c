"""Endings of a test case other than passing: a breach, a hang, and too many requests."""

from __future__ import annotations

import msgspec

from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import hinted
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Exchange
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.steps import NeverReturned, Step
from mockbroker_contract.drivers.failures import NotTested, ScenarioEnded

__all__ = ["MAX_REQUESTS", "ClientHung", "ContractBreached", "TooManyRequests"]

MAX_REQUESTS = 10
"""The requests that one use may lead to; the kit stops a client that sends one more."""


class ContractBreached(ScenarioEnded):
    """The client broke the test case's own clause.

    ``steps`` are the recorded steps; ``records`` the latest exchanges, secrets masked.
    ``is_delayed`` is True if a use of the client failed after its timeout: a busy machine may be
    the cause.

    Several breaches of one clause may be in one: the first decides the message. ``diagnosis`` is
    the likely mistake, or None; a hint on a request is one.
    """

    is_delayed = False

    def __init__(
        self,
        breaches: tuple[Breach, ...],
        steps: tuple[Step, ...] = (),
        records: tuple[ExchangeRecord, ...] = (),
    ) -> None:
        first = breaches[0]
        super().__init__(f"{first.what}; expected {first.expected}")
        self.diagnosis = hinted(first.hint)
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
        finding = self.finding_on(self.clause_id, verdict)
        return msgspec.structs.replace(finding, diagnosis=self.diagnosis)


class ClientHung(ScenarioEnded):
    """The client did not return, and was stopped.

    A hang is a verdict of its own. Breaches of other clauses in the requests before it still count.
    ``outcome`` says how long it had not returned, and what it waited for if that is known.
    """

    outcome: NeverReturned | None = None

    # Each attempt to simplify it would take a whole deadline.
    is_costly = True


class TooManyRequests(NotTested):
    """The client was stopped because one use led to more than `MAX_REQUESTS` requests.

    ``exchanges`` came during that use. The breach of ``errors.bounded`` is noted for that clause;
    the clause whose test case it was cannot be judged.
    """

    def __init__(self, reason: str, exchanges: tuple[Exchange, ...]) -> None:
        self.exchanges = exchanges
        super().__init__(reason, blocked_by=clauses.errors.BOUNDED)
