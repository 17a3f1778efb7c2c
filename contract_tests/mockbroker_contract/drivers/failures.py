"""Endings of a test case when the client, or its driver, cannot continue.

They are exceptions, because they leave a test case from any depth. The collector of verdicts turns
each into one finding.
"""

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
    """Base of all endings of a test case other than passing.

    The message is the reason, in one line. ``drawn`` is the example of the test case, or None.
    ``is_costly`` is True if a repetition takes so long that no simpler example is searched for.
    ``steps`` and ``records`` show what happened before, secrets masked. ``details`` is the output
    of the client's process, secrets masked.
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
        """Return the finding for a clause whose test case ended like this.

        Its steps and exchanges are those recorded so far, secrets masked.
        """
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
    """The judging process ran out of a resource, so the client's behavior proves nothing.

    It is not a ScenarioEnded: the clause gets the verdict ``error``, because the kit itself failed.
    """


class ClientCrashed(ScenarioEnded):
    """The client, or its driver, died.

    A crash counts against the clause of the test case, because the steps that led to it are the
    case's own.
    """


class DriverFailed(ScenarioEnded):
    """The driver broke the protocol, which proves nothing about the client.

    Costly, because the program is started again after it, which may take seconds.
    """

    is_costly = True


class NotTested(ScenarioEnded):
    """The clause could not be judged.

    ``reason`` says why. ``blocked_by`` is the clause whose breach prevents the judgement, or None.
    """

    def __init__(self, reason: str = "", *, blocked_by: Clause | None = None) -> None:
        self.blocked_by = blocked_by
        super().__init__(reason)

    def __str__(self) -> str:
        blocked_by = self.blocked_by.id if self.blocked_by is not None else None
        return reason_text(self.reason, blocked_by)


class NotApplicable(ScenarioEnded):
    """The client declares that it lacks the feature that the clause covers.

    The verdict differs from ``not-tested``: nothing that the user could fix would make the clause
    testable.
    """
