"""The first sentences of a report: what was found, and what it leads to in production.

They are for readers who know neither the clauses nor the protocol. Every format begins with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mockbroker.contract.clause import Clause
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.groups import Group, groups_of, mistake_of, place_of
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.wording import place_text

__all__ = ["advice_on", "breach_sentence", "fix_for", "link_of", "overview_of"]

_RESERVATIONS = {
    Conclusion.INTERRUPTED: "The run was interrupted, so this report is partial.",
    Conclusion.KIT_FAILED: "The kit failed, so no verdict of this run is reliable.",
    Conclusion.DRIVER_FAILED: "The driver failed, so this run does not judge the client.",
    Conclusion.OUT_OF_TIME: "The run was out of time, so this report is partial.",
}


def overview_of(report: Report) -> str:
    """Return a few sentences that sum up the report."""
    return " ".join(_sentences(report))


def breach_sentence(row: Row) -> str:
    """Return one breach as a sentence that begins with its impact."""
    clause = row.clause
    return (
        f"{clause.impact.value}: {clause.consequence} ({clause.id}, {clause.level.value}): "
        f"{row.finding.in_words}"
    )


def fix_for(finding: Finding, clause: Clause) -> str:
    """Return what to change in the client that broke the clause; empty if that is unknown.

    An exception that shows a mistake in the client's code is fixed where it was raised, whatever
    clause it breaks.
    """
    mistake = mistake_of(finding)
    if mistake is not None:
        return f"Correct {place_text(mistake.place)}, which raises {mistake.type_name}."
    return clause.fix if finding.verdict in BREACHES else ""


def advice_on(row: Row) -> tuple[tuple[str, str], ...]:
    """Return what a breach leads to, its fix, and a link, each with its label; texts may be empty.

    A clause that is not broken has none of them.
    """
    if row.found.verdict not in BREACHES:
        return ()
    return (
        ("leads to", row.clause.consequence),
        ("fix", fix_for(row.found, row.clause)),
        ("link", link_of(row.clause)),
    )


def link_of(clause: Clause) -> str:
    """Return the address of the first source of a clause that has a public page; may be empty."""
    return next((source.url for source in clause.sources if source.url), "")


def _sentences(report: Report) -> Iterator[str]:
    reservation = _RESERVATIONS.get(report.conclusion)
    if reservation:
        yield reservation
    groups = groups_of(report)
    failed = [row for row in report.failures if row.verdict in BREACHES]
    stale = report.count(Verdict.STALE)
    binding = [row for row in report.rows if _counts(report, row)]
    if failed:
        causes = sum(report.is_binding(g.head.clause) and g.head in failed for g in groups)
        by = f", by {_counted(causes, 'cause')}" if causes < len(failed) else ""
        yield f"{_of_binding(len(failed), len(binding), 'fails', 'fail')}{by}."
        yield f"Worst: {_worst(groups)}."
    if report.blocked:
        yield from _about_blocked(report, groups, len(binding), has_failed=bool(failed))
    if stale:
        yield f"{_counted(stale, 'known failure passes', 'known failures pass')} now."
    if not (failed or stale or report.blocked):
        yield from _about_success(report, len(binding))
    advice = [row for row in report.gravest_first if not report.is_binding(row.clause)]
    if advice:
        first = "" if failed else f", first: {advice[0].clause.consequence}"
        more = "more " if failed else ""
        give = _counted(len(advice), f"{more}clause gives", f"{more}clauses give")
        yield f"{give} advice{first}."


def _counts(report: Report, row: Row) -> bool:
    """Return whether a clause binds this client, and was judged or should have been."""
    is_applicable = row.verdict is not Verdict.NOT_APPLICABLE
    return report.is_binding(row.clause) and row.was_run and is_applicable


def _worst(groups: Sequence[Group]) -> str:
    clause = groups[0].head.clause
    return f"{clause.consequence} ({clause.id})"


def _about_blocked(
    report: Report, groups: Sequence[Group], binding: int, *, has_failed: bool
) -> Iterator[str]:
    """Yield how many clauses were not tested, and by which cause unless it has failed itself."""
    count = len(report.blocked)
    if has_failed:
        yield f"{_counted(count, 'more', 'more')} could not be tested."
        return
    yield f"{_of_binding(count, binding, '', '').strip()} could not be tested."
    if groups and groups[0].head.verdict is Verdict.NOT_TESTED:
        finding = groups[0].head.finding
        place = place_text(place_of(finding))
        yield f"Cause: {finding.reason}{f' ({place})' if place else ''}."


def _about_success(report: Report, binding: int) -> Iterator[str]:
    """Yield what a run without any failure says, and what it does not say."""
    left_out = len(report.left_out)
    known = report.count(Verdict.KNOWN)
    if report.conclusion is Conclusion.NOTHING_TESTED:
        yield "Nothing was tested."
    elif report.conclusion is Conclusion.NO_VIOLATION_SEEN:
        yield f"No violation seen; the traffic did not exercise {_counted(left_out, 'clause')}."
    elif report.conclusion is Conclusion.NOTHING_FAILED:
        judged = len(report.rows) - left_out
        yield f"Nothing failed in {_counted(judged, 'clause')}; {left_out} were left out."
    elif report.conclusion is Conclusion.CONFORMS:
        kept = sum(r.verdict is Verdict.PASSED for r in report.rows if _counts(report, r))
        yield f"{_of_binding(kept, binding, 'passes', 'pass')}."
    if known:
        yield f"{_counted(known, 'known failure is', 'known failures are')} left aside."


def _of_binding(count: int, binding: int, one: str, many: str) -> str:
    noun = "binding clause" if binding == 1 else "binding clauses"
    return f"{count} of {binding} {noun} {one if count == 1 else many}"


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
