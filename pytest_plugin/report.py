"""From findings to the report on a client: pure values and functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contract_tests.verdicts import BREACHES, Finding, Verdict
from mockbroker.spec.catalogue import CATALOGUE
from mockbroker.spec.clause import Clause, Level
from pytest_plugin.known import NOTHING_KNOWN, KnownFailures, Listing

__all__ = ["ClientDescription", "Report", "Row", "build_report"]

SCHEMA = 1
NO_SCENARIO = "no scenario exercises this clause yet"
NOT_SELECTED = "not selected in this run"
NOT_REACHED = "not reached: the run was interrupted"

_LEVELS = list(Level)
_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
_REACHED = (*BREACHES, Verdict.PASSED, Verdict.KNOWN, Verdict.STALE)
_BLOCKER = re.compile(r"blocked by ([a-z0-9.-]*[a-z0-9])")


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
    """A clause and what was found. ``was_run`` is False if no scenario was even begun.

    ``listing`` says what became of the known failure that is listed for the clause, if one is.
    """

    clause: Clause
    finding: Finding
    was_run: bool
    listing: Listing | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the clause."""
        return self.finding.verdict

    @property
    def found(self) -> Finding:
        """What was found, whatever is listed."""
        return self.listing.found if self.listing else self.finding

    @property
    def is_blocked(self) -> bool:
        """Whether a scenario was played and could not be judged."""
        return self.was_run and self.verdict is Verdict.NOT_TESTED

    @property
    def blocker(self) -> str:
        """The clause by whose breach this one was blocked; empty if it is not known."""
        named = _BLOCKER.match(self.finding.reason) if self.is_blocked else None
        return named[1] if named else ""

    def to_json(self) -> dict[str, Any]:
        """The row as the JSON report has it."""
        row = {
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
        return {**row, "known": self.listing.to_json()} if self.listing else row


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdicts on a client: a row for each clause of the catalogue, in its order.

    ``observed`` is True if they come from traffic that no scenario provoked; ``interrupted`` if
    the run did not come to its end, so that nothing conforms. ``driver_failures`` says how what
    drives the client failed. ``options`` is how the names of options begin where the user has
    written them.
    """

    profile: str
    client: ClientDescription
    rows: tuple[Row, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)
    fail_on: Level = Level.MUST
    observed: bool = False
    interrupted: bool = False
    known_file: str = ""
    driver_failures: tuple[str, ...] = ()
    options: str = "--"

    @property
    def conforms(self) -> bool:
        """Whether something was tested, nothing binding was broken, and no MUST was blocked.

        Failures that are known do not count. Traffic that was merely observed shows violations,
        never that there are none.
        """
        return self._is_clean and not self.observed

    @property
    def _is_clean(self) -> bool:
        if self.interrupted or self.driver_failures:
            return False
        return self._was_reached and not self.failures and not self.blocked

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that fail the run: binding ones, and what is listed as known and passes."""
        return tuple(
            r
            for r in self.rows
            if r.verdict is Verdict.STALE or (r.verdict in _FATAL and self.is_binding(r.clause))
        )

    @property
    def blocked(self) -> tuple[Row, ...]:
        """The binding clauses of which a scenario was played and could not be judged.

        What a known failure blocks is not counted, unless nothing passes beside it.
        """
        known = {r.clause.id for r in self.rows if r.verdict is Verdict.KNOWN}
        excused = known if self.count(Verdict.PASSED) else frozenset[str]()
        return tuple(
            r
            for r in self.rows
            if r.is_blocked and self.is_binding(r.clause) and r.blocker not in excused
        )

    @property
    def listings(self) -> tuple[Listing, ...]:
        """What became of each known failure, in the order of the catalogue."""
        return tuple(row.listing for row in self.rows if row.listing)

    @property
    def exit_status(self) -> int:
        """0 conforms, 1 does not, 4 the driver failed, 5 nothing was tested; as pytest has it.

        0 as well if no violation was seen in traffic that was merely observed.
        """
        if self.driver_failures:
            return 4
        if not self._was_reached:
            return 5
        return 0 if self._is_clean else 1

    @property
    def _was_reached(self) -> bool:
        """Whether anything at all was found out."""
        return any(row.verdict in _REACHED for row in self.rows)

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
    interrupted: bool = False,
    known: KnownFailures = NOTHING_KNOWN,
    replays: Mapping[str, str] | None = None,
    driver_failures: Iterable[str] = (),
    options: str = "--",
) -> Report:
    """The report that these findings make, in the light of the failures that are known.

    Several findings on one clause are merged: a breach found in any scenario counts against the
    clause, whatever its own scenario said. Of two breaches the first is told. Of traffic merely
    observed, ``unseen`` says why nothing is known of a clause. ``replays`` says of each clause
    whose known example had its turn why it was not played.
    """
    merged: dict[str, Finding] = {}
    for finding in findings:
        merged[finding.clause_id] = _graver(merged.get(finding.clause_id), finding)
    usual = dict.fromkeys((clause.id for clause in CATALOGUE), NOT_REACHED) if interrupted else {}
    reasons = {**usual, **dict.fromkeys(deselected, NOT_SELECTED), **(unseen or {})}
    found = (_row(clause, merged.get(clause.id), reasons) for clause in CATALOGUE)
    return Report(
        profile=profile,
        client=client,
        rows=tuple(_in_the_light_of(known, row, replays or {}) for row in found),
        measured=measured,
        fail_on=fail_on,
        observed=unseen is not None,
        interrupted=interrupted,
        known_file=known.file,
        driver_failures=tuple(driver_failures),
        options=options,
    )


def _in_the_light_of(known: KnownFailures, row: Row, replays: Mapping[str, str]) -> Row:
    listing = known.listing(row.finding, replays)
    return replace(row, finding=listing.finding, listing=listing) if listing else row


def _graver(one: Finding | None, other: Finding) -> Finding:
    if one is None or (one.verdict not in BREACHES and other.verdict in BREACHES):
        return other
    return one


def _row(clause: Clause, finding: Finding | None, reasons: Mapping[str, str]) -> Row:
    if finding is not None:
        return Row(clause, finding, was_run=True)
    reason = reasons.get(clause.id, NO_SCENARIO)
    return Row(clause, Finding(clause.id, Verdict.NOT_TESTED, reason), was_run=False)
