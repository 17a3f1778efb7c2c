"""How a scenario ends when the client, or what drives it, cannot go on."""

from __future__ import annotations

from typing import Any

from mockbroker.contract.clause import Clause
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.steps import Step
from mockbroker.report.wording import reason_text

__all__ = [
    "ClientCrashed",
    "DriverFailed",
    "NotApplicable",
    "NotTested",
    "ResourcesExhausted",
    "ScenarioEnded",
]


class ScenarioEnded(Exception):  # noqa: N818 - an outcome of a scenario, no error of the program
    """Base of everything by which a scenario ends other than by passing.

    The message is the reason, in one line. ``drawn`` is the example that led to it, or None if
    none was drawn. ``is_costly`` if to repeat it takes so long that no simpler example is looked
    for. ``steps`` and ``records`` show what led to it, secrets masked. ``details`` is what the
    process of the client said, secrets masked.
    """

    drawn: Any = None
    is_costly = False
    steps: tuple[Step, ...] = ()
    records: tuple[ExchangeRecord, ...] = ()
    blocked_by: Clause | None = None

    def __init__(self, reason: str = "", *, details: str = "") -> None:
        self.reason, self.details = reason, details
        super().__init__(reason)

    def finding_on(self, clause_id: str, verdict: Verdict) -> Finding:
        """Return what the report says of a clause whose scenario ended like this."""
        return Finding(
            clause_id,
            verdict,
            self.reason,
            self.steps,
            self.records,
            details=self.details,
            blocked_by=self.blocked_by.id if self.blocked_by is not None else None,
        )


class ResourcesExhausted(Exception):  # noqa: N818 - an event
    """The judging process ran out of something; what the client did meanwhile says nothing."""


class ClientCrashed(ScenarioEnded):
    """The client, or what drives it, died."""


class DriverFailed(ScenarioEnded):
    """What drives the client broke the protocol, which says nothing of the client."""

    is_costly = True


class NotTested(ScenarioEnded):
    """The clause could not be judged.

    ``reason`` says why; ``blocked_by`` is the clause whose breach is in the way, if it is a
    breach.
    """

    def __init__(self, reason: str = "", *, blocked_by: Clause | None = None) -> None:
        self.blocked_by = blocked_by
        super().__init__(reason)

    def __str__(self) -> str:
        blocked_by = self.blocked_by.id if self.blocked_by is not None else None
        return reason_text(self.reason, blocked_by)


class NotApplicable(ScenarioEnded):
    """The client declares that it lacks what the clause is about."""
