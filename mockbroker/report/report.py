"""Reports on a client, made from findings: pure values and functions.

`build_report` merges the findings into rows. Properties of `Report` draw the conclusions, so that
all formats agree on them.

Nothing here reads a file, prints or asks for the time: a test can build any report from plain
values. `mockbroker.report.terminal` and the writers in `mockbroker.report.formats` arrange the
result.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.gravity import Gravity, gravity_of, is_at_least
from mockbroker.report.known_failures import Listing
from mockbroker.report.run_facts import RunFacts
from mockbroker.report.steps import NotRepeated

__all__ = [
    "Conclusion",
    "Report",
    "Row",
    "build_report",
]

# The reasons of clauses without a finding. Each is the same string for many clauses, and the
# terminal groups the clauses by it.
NOT_SELECTED = "not selected in this run"
NOT_REACHED = "not reached: the run was interrupted"
STOPPED_EARLY = "not reached: pytest stopped the run early"
STOPPED_AT_FAILURE = "not reached: the run ended at the first failure"
NO_VERDICT = "the kit reached no verdict"

# ADVICE is missing: it is a breach that does not fail the run.
_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
# Verdicts that say something about the client. NOT_APPLICABLE is missing: the profile decides it,
# whatever the client does.
_REACHED = (*BREACHES, Verdict.PASSED, Verdict.KNOWN, Verdict.STALE)


class Conclusion(str, enum.Enum):
    """The conclusion of a run. If several apply, the first of them here counts.

    Problems of the run come before its findings: if the kit failed, no finding is reliable.

    A value is also the text that formats print. The JSON report holds it too, so another wording
    needs a new schema.
    """

    INTERRUPTED = "interrupted, a partial report"
    KIT_FAILED = "the kit failed"
    DRIVER_FAILED = "the driver failed"
    NOTHING_TESTED = "nothing was tested"
    FAILED = "does not conform"
    OUT_OF_TIME = "out of time, a partial report"
    NO_VIOLATION_SEEN = "no violation seen"
    NOTHING_FAILED = "nothing failed in a partial run"
    CONFORMS = "conforms"

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong in what was judged."""
        return self.exit_status == 0

    @property
    def is_about_client(self) -> bool:
        """Whether the run went to its end and judged the client, well or badly."""
        return self.is_good or self is Conclusion.FAILED

    @property
    def exit_status(self) -> int:
        """The exit status of the process; the numbers are pytest's."""
        return _EXIT_STATUSES.get(self, 0)


# pytest.ExitCode: 1 tests failed, 2 interrupted, 3 internal error, 4 usage error, 5 no tests. The
# numbers are written out, because this package does not import pytest.
_EXIT_STATUSES = {
    Conclusion.INTERRUPTED: 2,
    Conclusion.KIT_FAILED: 3,
    Conclusion.DRIVER_FAILED: 4,
    Conclusion.NOTHING_TESTED: 5,
    Conclusion.FAILED: 1,
    Conclusion.OUT_OF_TIME: 2,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A clause and its finding. ``was_run`` is False if no test case of the clause began.

    ``was_selected`` is False if the user left the clause out. ``listing`` is the known failure
    that is listed for the clause, or None.

    After known failures were considered, ``finding`` may differ from what the run found; see
    `found`.
    """

    clause: Clause
    finding: Finding
    was_run: bool
    was_selected: bool = True
    listing: Listing | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the clause."""
        return self.finding.verdict

    @property
    def found(self) -> Finding:
        """The finding of the run, before known failures were considered."""
        # Commands and the file of known failures need it: an entry changes the verdict, not the
        # breach.
        return self.listing.found if self.listing else self.finding

    @property
    def is_blocked(self) -> bool:
        """Whether the clause was run and could not be judged."""
        return self.was_run and self.verdict is Verdict.NOT_TESTED

    @property
    def blocker(self) -> str:
        """The clause whose breach blocked this one; empty if unknown."""
        return (self.finding.blocked_by or "") if self.is_blocked else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdicts on a client: a row for each clause of the catalogue, in its order."""

    facts: RunFacts
    rows: tuple[Row, ...]

    @property
    def observed(self) -> bool:
        """Whether the verdicts come from the traffic of an app instead of test cases."""
        # Only observed traffic has this mapping, which may be empty.
        return self.facts.unseen is not None

    @property
    def conclusion(self) -> Conclusion:
        """The conclusion of the run.

        The order of the checks is that of `Conclusion`. Only a blocked clause differs: it fails a
        run that had enough time.
        """
        if self.facts.interrupted:
            return Conclusion.INTERRUPTED
        # Before any breach: a kit that failed may have seen breaches that the client did not
        # commit.
        if self.has_errors:
            return Conclusion.KIT_FAILED
        if self.facts.driver_failures:
            return Conclusion.DRIVER_FAILED
        # A run that skipped everything must not pass, as when no pattern of --only applies to the
        # profile.
        if not any(row.verdict in _REACHED for row in self.rows):
            return Conclusion.NOTHING_TESTED
        if self.failures:
            return Conclusion.FAILED
        if self._is_out_of_time:
            return Conclusion.OUT_OF_TIME
        # After the budget: clauses that were blocked by its end are not the client's fault.
        if self.blocked:
            return Conclusion.FAILED
        if self.observed:
            # Also if every passive clause was seen: the others need test cases.
            return Conclusion.NO_VIOLATION_SEEN
        # A partial run never says that a client conforms: a clause that was left out may be broken.
        return Conclusion.NOTHING_FAILED if self.is_partial else Conclusion.CONFORMS

    @property
    def conforms(self) -> bool:
        """Whether every clause was judged, and no binding clause was broken or blocked.

        Known failures do not count. Observed traffic can show violations, but never their
        absence.
        """
        return self.conclusion is Conclusion.CONFORMS

    @property
    def exit_status(self) -> int:
        """The exit status of the process; the numbers are pytest's."""
        return self.conclusion.exit_status

    @property
    def is_partial(self) -> bool:
        """Whether clauses were left out, so that the report does not cover the whole contract.

        It says nothing about breaches: a partial run may have found some.
        """
        return (
            self.observed or self.facts.interrupted or self._is_out_of_time or bool(self.left_out)
        )

    @property
    def _is_out_of_time(self) -> bool:
        """Whether the end of the budget left a binding clause without a verdict."""
        # A budget that ends after the last binding clause has cost nothing.
        return self.facts.out_of_time and bool(self.blocked)

    @property
    def left_out(self) -> tuple[Row, ...]:
        """The rows of clauses that were not run, or whose situation was not observed."""
        return tuple(row for row in self.rows if not row.was_run)

    @property
    def has_errors(self) -> bool:
        """Whether the kit failed anywhere, so that the run says less than it seems to."""
        return bool(self.facts.errors or self.count(Verdict.ERROR))

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that fail the run: binding ones, and what is listed as known and passes.

        The order is that of the catalogue. Advice and known failures are left out.
        """
        return tuple(
            r
            for r in self.rows
            if r.verdict is Verdict.STALE or (r.verdict in _FATAL and self.is_binding(r.clause))
        )

    @property
    def blocked(self) -> tuple[Row, ...]:
        """The binding clauses that were run and could not be judged.

        Clauses that a known failure blocks do not count, unless no clause passed.
        """
        known = {r.clause.id for r in self.rows if r.verdict is Verdict.KNOWN}
        # Otherwise one known failure that blocks the whole contract would make every run succeed.
        excused = known if self.count(Verdict.PASSED) else frozenset[str]()
        return tuple(
            r
            for r in self.rows
            if r.is_blocked and self.is_binding(r.clause) and r.blocker not in excused
        )

    @property
    def listings(self) -> tuple[Listing, ...]:
        """The known failures and their states, in the order of the catalogue."""
        return tuple(row.listing for row in self.rows if row.listing)

    def is_binding(self, clause: Clause) -> bool:
        """Return whether breaking the clause fails the run.

        ``fail_on`` is the lowest level that binds, so every level above it binds as well.
        """
        return is_at_least(clause.level, self.facts.fail_on)

    def reproduce(self, row: Row) -> str:
        """Return a command that shows the breach of the row's clause; empty if there is none.

        That is a command for the request itself, or a check of the clause whose scenario found it.
        A breach that the kit could not repeat has none: its steps say so.
        """
        if row.found.verdict not in BREACHES or NotRepeated() in row.found.steps:
            return ""
        # The scenario that found the breach, not the broken clause: test cases of one clause often
        # break another one.
        found_in = row.finding.found_in
        return row.finding.command or (
            self.facts.provenance.command_for(found_in) if found_in else ""
        )

    @property
    def gravest_first(self) -> tuple[Row, ...]:
        """The rows with a breach: binding ones first, then by impact and by level.

        Rows that are alike in all three keep the order of the catalogue.
        """
        return tuple(
            sorted((row for row in self.rows if row.verdict in BREACHES), key=self.gravity)
        )

    def gravity(self, row: Row) -> Gravity:
        """Return the sort key of a row: the lower, the graver its breach would be."""
        return gravity_of(row.clause.id, row.clause.level, row.clause.impact, self.facts.fail_on)

    def count(self, verdict: Verdict) -> int:
        """Return how many clauses have that verdict.

        The counts of all verdicts sum up to the number of clauses.
        """
        return sum(row.verdict is verdict for row in self.rows)


def build_report(findings: Iterable[Finding], facts: RunFacts) -> Report:
    """Make the report of these findings, with known failures taken into account.

    Several findings on one clause are merged: a breach found in the test cases of any clause
    counts, and an error of the kit outweighs all. Of two breaches that of the clause's own test
    cases counts, otherwise the first. A selected clause without a finding is an error of the kit,
    unless the facts say why the run did not reach it.
    """
    reasons = _reasons_without_finding(facts)
    merged = _merged(findings, {name for name, reason in reasons.items() if not reason})
    # After the merge: a chain of blocked clauses can be followed only when each has its final
    # finding.
    rooted = {name: _with_root_cause(finding, merged) for name, finding in merged.items()}
    clauses = (clause.for_profile(facts.terms) for clause in CATALOGUE)
    found = (_row(clause, rooted.get(clause.id), reasons) for clause in clauses)
    return Report(facts=facts, rows=tuple(_with_listing(row, facts) for row in found))


def _reasons_without_finding(facts: RunFacts) -> dict[str, str]:
    """Return why a clause may lack a finding, by id; empty if it must have one.

    Clauses that were not selected are missing.
    """
    unreached = facts.unreached or (NOT_REACHED if facts.interrupted else "")
    return {**dict.fromkeys(facts.selected, unreached), **(facts.unseen or {})}


def _merged(findings: Iterable[Finding], required: Iterable[str]) -> dict[str, Finding]:
    """Return the one finding on each clause; a required clause without any is an error."""
    merged: dict[str, Finding] = {}
    # Passive clauses are judged in every test case, so a clause can have several findings.
    for finding in findings:
        merged[finding.clause_id] = _more_severe(merged.get(finding.clause_id), finding)
    # A clause that disappears from a report must not look like one that passed.
    missing = {name: Finding(name, Verdict.ERROR, NO_VERDICT) for name in required}
    return missing | merged


def _with_root_cause(finding: Finding, findings: Mapping[str, Finding]) -> Finding:
    """Return the finding blocked by the first cause, if its blocker was itself blocked.

    The reader should fix the cause first, and a clause that was not tested is none.

    It also ends at a clause without a finding and in a circle of clauses that block each other.
    """
    seen = {finding.clause_id}
    cause = finding.blocked_by
    while cause is not None and cause not in seen and cause in findings:
        seen.add(cause)
        blocker = findings[cause]
        if blocker.verdict is not Verdict.NOT_TESTED or blocker.blocked_by is None:
            break
        cause = blocker.blocked_by
    return msgspec.structs.replace(finding, blocked_by=cause)


def _with_listing(row: Row, facts: RunFacts) -> Row:
    """Return the row as the list of known failures changes it; the same row without an entry.

    ``listing.found`` keeps the finding of the run, so that nothing of it is lost.
    """
    listing = facts.known.listing(row.finding, facts.replays)
    return replace(row, finding=listing.finding, listing=listing) if listing else row


def _more_severe(one: Finding | None, other: Finding) -> Finding:
    """Return the more severe of two findings on a clause; the first of equal ones."""
    return other if one is None or _severity(other) > _severity(one) else one


def _severity(finding: Finding) -> int:
    """Return the rank of a finding: errors of the kit, then breaches, then the others.

    A breach that the clause's own test cases found comes before one found elsewhere.
    """
    if finding.verdict is Verdict.ERROR:
        return 3
    # Its own cases are made for the clause: their steps are fewer, and they have a diagnosis.
    is_own = finding.found_in == finding.clause_id
    return 1 + is_own if finding.verdict in BREACHES else 0


def _row(clause: Clause, finding: Finding | None, reasons: Mapping[str, str]) -> Row:
    """Return the row of a clause; ``reasons`` says why a clause has no finding.

    A clause that is missing in ``reasons`` was not selected.
    """
    if finding is not None:
        return Row(clause, finding, was_run=True)
    reason = reasons.get(clause.id, NOT_SELECTED)
    unknown = Finding(clause.id, Verdict.NOT_TESTED, reason)
    return Row(clause, unknown, was_run=False, was_selected=clause.id in reasons)
