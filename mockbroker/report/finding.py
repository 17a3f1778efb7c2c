"""Verdicts on clauses, and the findings that show them.

A finding belongs to one clause. Several of one clause are merged when a report is made.

Judges make findings, and `mockbroker.report.report` makes a report of them. The text of a whole
finding is left to the formats.
"""

from __future__ import annotations

import enum

import msgspec

from mockbroker.contract.diagnosis import Diagnosis
from mockbroker.model.cleaning import with_texts
from mockbroker.model.escaping import printable_lines
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.steps import Step
from mockbroker.report.wording import reason_text

__all__ = ["BREACHES", "Finding", "Verdict"]


class Verdict(str, enum.Enum):
    """The result of a run for a client and a clause.

    ``ERROR`` says nothing about the client: the kit itself failed.

    ``KNOWN`` and ``STALE`` come from the list of known failures, never from a judge. ``HANG`` is a
    client that did not return, ``CRASH`` one whose process ended. The values stand in JSON reports,
    so another name needs a new schema.
    """

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"
    NOT_APPLICABLE = "not-applicable"
    NOT_TESTED = "not-tested"
    KNOWN = "known"
    STALE = "stale"
    HANG = "hang"
    CRASH = "crash"
    ERROR = "error"


# KNOWN is missing: the list of known failures turns a breach into it. `Row.found` still has the
# breach.
BREACHES = (Verdict.FAILED, Verdict.ADVICE, Verdict.HANG, Verdict.CRASH)
"""The verdicts on a client that broke a clause."""


class Finding(msgspec.Struct, frozen=True):
    """A verdict on one clause, with its evidence. All strings have secrets and tokens masked.

    Control characters and log commands in them are escaped, so that every output can print them.
    ``blocked_by`` is the clause whose breach prevented the verdict, or None. ``command`` sends
    the request that shows the breach, if a single request does. ``details`` comes from outside the
    reproduction: a traceback, or the output of a driver. ``found_in`` is the clause whose scenario
    found the breach, empty if no scenario did. ``diagnosis`` is the likely mistake behind a breach,
    or None.
    """

    clause_id: str
    verdict: Verdict
    reason: str = ""
    steps: tuple[Step, ...] = ()
    exchanges: tuple[ExchangeRecord, ...] = ()
    command: str = ""
    details: str = ""
    # An id, not prose: formats and `compare` use it as a value.
    blocked_by: str | None = None
    found_in: str = ""
    diagnosis: Diagnosis | None = None

    def __post_init__(self) -> None:
        """Escape what terminals and CI servers would obey, in every string from outside."""
        # Here, once, and not in each format: a new format cannot forget it.
        for name in ("reason", "steps", "exchanges", "command", "details", "diagnosis"):
            text = with_texts(getattr(self, name), printable_lines)
            # The struct is frozen, and is not yet visible to any other code.
            msgspec.structs.force_setattr(self, name, text)

    @property
    def in_words(self) -> str:
        """The reason, after the clause that blocked this one."""
        return reason_text(self.reason, self.blocked_by)
