"""Changes of verdicts between two reports: which clauses got worse, and which better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mockbroker.report.document import ClauseRow, ReportDocument
from mockbroker.report.finding import Verdict

__all__ = ["Change", "Comparison", "compared", "obstacle_to"]

# The higher, the worse. Of equal ones none is worse for a user: an accepted failure is as good as a
# pass, and a client that hangs is as bad as one that fails.
_BADNESS = {
    Verdict.PASSED: 0,
    Verdict.NOT_APPLICABLE: 0,
    Verdict.KNOWN: 0,
    Verdict.ADVICE: 1,
    Verdict.NOT_TESTED: 2,
    Verdict.STALE: 3,
    Verdict.FAILED: 3,
    Verdict.HANG: 3,
    Verdict.CRASH: 3,
    Verdict.ERROR: 4,
}


@dataclass(frozen=True, slots=True)
class Change:
    """A clause with another verdict than in the baseline."""

    before: ClauseRow
    after: ClauseRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A report compared with a baseline.

    ``worse`` and ``better`` are in the order of the catalogue. ``unjudged`` are clauses with a
    verdict in the baseline that a partial run has left out. ``added`` and ``removed`` are the ids
    of clauses that only the report or only the baseline has. ``same`` counts the other clauses.
    """

    worse: tuple[Change, ...]
    better: tuple[Change, ...]
    unjudged: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    same: int


def obstacle_to(baseline: ReportDocument, report: ReportDocument) -> str:
    """Return why the verdicts of two reports cannot be compared; empty if they can."""
    before, after = baseline.profile.name, report.profile.name
    if before != after:
        return f"is by profile {after}, but the baseline is by profile {before}"
    level, other = baseline.options.fail_on.value, report.options.fail_on.value
    if level != other:
        return f"is at level {other}, but the baseline is at level {level}"
    return ""


def compared(baseline: ReportDocument, report: ReportDocument) -> Comparison:
    """Return what changed since the baseline. Both must have one profile and one level."""
    before = {row.id: row for row in baseline.clauses}
    after = {row.id: row for row in report.clauses}
    pairs = [Change(before[name], row) for name, row in after.items() if name in before]
    unjudged = tuple(pair for pair in pairs if _is_left_out(report, pair))
    judged = [pair for pair in pairs if pair not in unjudged]
    worse = tuple(pair for pair in judged if _step(pair) > 0)
    better = tuple(pair for pair in judged if _step(pair) < 0)
    return Comparison(
        worse=worse,
        better=better,
        unjudged=unjudged,
        added=tuple(_missing(after, before)),
        removed=tuple(_missing(before, after)),
        same=len(judged) - len(worse) - len(better),
    )


def _missing(these: dict[str, ClauseRow], those: dict[str, ClauseRow]) -> Iterator[str]:
    """Yield the ids of the clauses that are not among the others."""
    yield from (name for name in these if name not in those)


def _is_left_out(report: ReportDocument, change: Change) -> bool:
    """Return whether a partial run has no verdict on a clause that the baseline judged."""
    row = change.after
    is_open = row.verdict is Verdict.NOT_TESTED and row.blocked_by is None
    return report.partial and is_open and change.before.verdict is not Verdict.NOT_TESTED


def _step(change: Change) -> int:
    """Return by how much a clause is worse than before; less than 0 if it is better."""
    return _BADNESS[change.after.verdict] - _BADNESS[change.before.verdict]
