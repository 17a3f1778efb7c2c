"""From findings to the report on a client: pure values and functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.verdicts import Finding, Verdict
from mockbroker.spec.catalogue import CATALOGUE
from mockbroker.spec.clause import Clause, Level

__all__ = ["ClientDescription", "Report", "Row", "build_report"]

SCHEMA = 1
NO_SCENARIO = "no scenario exercises this clause yet"
NOT_SELECTED = "not selected in this run"

_LEVELS = list(Level)
_BREACHES = (Verdict.FAILED, Verdict.ADVICE, Verdict.HANG, Verdict.CRASH)
_REACHED = (*_BREACHES, Verdict.PASSED)


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """Which client was judged, and what it offers."""

    target: str = ""
    name: str = ""
    version: str = ""
    capabilities: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The description as the JSON report has it."""
        return {
            "name": self.name,
            "version": self.version,
            "target": self.target,
            "capabilities": list(self.capabilities),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A clause and what was found. ``was_run`` is False if no scenario was even begun."""

    clause: Clause
    finding: Finding
    was_run: bool

    @property
    def verdict(self) -> Verdict:
        """The verdict on the clause."""
        return self.finding.verdict

    @property
    def is_blocked(self) -> bool:
        """Whether a scenario was played and could not be judged."""
        return self.was_run and self.verdict is Verdict.NOT_TESTED

    def to_json(self) -> dict[str, Any]:
        """The row as the JSON report has it."""
        return {
            "id": self.clause.id,
            "level": self.clause.level.value,
            "title": self.clause.title,
            "sources": [str(source) for source in self.clause.sources],
            "verdict": self.verdict.value,
            "reason": self.finding.reason,
            "example": self.finding.example,
            "exchanges": list(self.finding.exchanges),
            "curl": self.finding.curl,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdicts on a client: a row for each clause of the catalogue, in its order.

    ``observed`` is True if they come from traffic that no scenario provoked.
    """

    profile: str
    client: ClientDescription
    rows: tuple[Row, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)
    fail_on: Level = Level.MUST
    observed: bool = False

    @property
    def conforms(self) -> bool:
        """Whether something was tested, nothing binding was broken, and no MUST was blocked."""
        return not self.failures and not self.blocked and self.count(Verdict.PASSED) > 0

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that fail the run."""
        fatal = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
        return tuple(r for r in self.rows if r.verdict in fatal and self.is_binding(r.clause))

    @property
    def blocked(self) -> tuple[Row, ...]:
        """The binding clauses of which a scenario was played and could not be judged."""
        return tuple(r for r in self.rows if r.is_blocked and self.is_binding(r.clause))

    @property
    def exit_status(self) -> int:
        """0 conforms, 1 does not, 5 nothing was tested; as pytest has it."""
        if not any(row.verdict in _REACHED for row in self.rows):
            return 5
        return 0 if self.conforms else 1

    def is_binding(self, clause: Clause) -> bool:
        """Whether breaking the clause fails the run."""
        return _LEVELS.index(clause.level) <= _LEVELS.index(self.fail_on)

    def count(self, verdict: Verdict) -> int:
        """How many clauses have that verdict."""
        return sum(row.verdict is verdict for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The report by schema 1."""
        return {
            "schema": SCHEMA,
            "profile": self.profile,
            "client": self.client.to_json(),
            "conforms": self.conforms,
            "summary": {level.value: self._summary(level) for level in Level},
            "measured": dict(self.measured),
            "clauses": [row.to_json() for row in self.rows],
        }

    def _summary(self, level: Level) -> dict[str, int]:
        verdicts = [row.verdict for row in self.rows if row.clause.level is level]
        return {verdict.value: verdicts.count(verdict) for verdict in Verdict}


def build_report(
    findings: Iterable[Finding],
    *,
    profile: str,
    client: ClientDescription,
    measured: Mapping[str, Any],
    fail_on: Level = Level.MUST,
    deselected: Iterable[str] = (),
    unseen: Mapping[str, str] | None = None,
) -> Report:
    """The report that these findings make.

    Several findings on one clause are merged: a breach found in any scenario counts against the
    clause, whatever its own scenario said. Of two breaches the first is told. Of traffic merely
    observed, ``unseen`` says why nothing is known of a clause.
    """
    merged: dict[str, Finding] = {}
    for finding in findings:
        merged[finding.clause_id] = _graver(merged.get(finding.clause_id), finding)
    reasons = {**dict.fromkeys(deselected, NOT_SELECTED), **(unseen or {})}
    rows = tuple(_row(clause, merged.get(clause.id), reasons) for clause in CATALOGUE)
    return Report(
        profile=profile,
        client=client,
        rows=rows,
        measured=measured,
        fail_on=fail_on,
        observed=unseen is not None,
    )


def _graver(one: Finding | None, other: Finding) -> Finding:
    if one is None or (one.verdict not in _BREACHES and other.verdict in _BREACHES):
        return other
    return one


def _row(clause: Clause, finding: Finding | None, reasons: Mapping[str, str]) -> Row:
    if finding is not None:
        return Row(clause, finding, was_run=True)
    reason = reasons.get(clause.id, NO_SCENARIO)
    return Row(clause, Finding(clause.id, Verdict.NOT_TESTED, reason), was_run=False)
