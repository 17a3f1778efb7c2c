"""The end of a report as lines for a terminal: the conclusion, the gravest cause, the next step."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from mockbroker.contract.clause import Level
from mockbroker.report.finding import BREACHES, Verdict
from mockbroker.report.groups import Group, mistake_of, place_of, ungrouped
from mockbroker.report.headline import fix_for
from mockbroker.report.next_steps import LOOK_AT_THE_DRIVER
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.terminal_causes import is_grave
from mockbroker.report.terminal_lines import Line, counted_clauses, importance, wrap
from mockbroker.report.wording import place_text

__all__ = ["conclusion_lines"]

# Other conclusions have no causes among the clauses, or need none.
_BECAUSE = {
    Conclusion.FAILED: "because of",
    Conclusion.INTERRUPTED: "failed or blocked so far:",
    Conclusion.KIT_FAILED: "also failed or blocked:",
}


def conclusion_lines(report: Report, groups: Sequence[Group], width: int) -> Iterator[Line]:
    """Yield the conclusion, the counts, the causes, the gravest of them and the next step."""
    mark, words, style = _headline(report)
    counts = ", ".join(
        f"{report.count(verdict)} {verdict.value}" for verdict in Verdict if report.count(verdict)
    )
    yield Line(f"  {mark} {words}: {counts}", style)
    # Also below other headlines: a failure of the driver may explain a breach.
    if report.facts.driver_failures:
        yield from (Line(f"    {each}", "purple") for each in report.facts.driver_failures)
    note = _partial_run_note(report)
    if note:
        yield from (Line(f"    {line}", style) for line in wrap(note, width - 4))
    causes = ", ".join(_causes(report, groups))
    because = _BECAUSE.get(report.conclusion)
    if causes and because:
        lines = textwrap.wrap(
            f"{because} {causes}",
            width - 6,
            break_on_hyphens=False,
            subsequent_indent="  ",
        )
        yield from (Line(f"    {line}", "red") for line in lines)
    yield from _gravest(report, groups, width)
    yield from (Line(f"    {text}") for text in _next_steps(report, groups))


def _gravest(report: Report, groups: Sequence[Group], width: int) -> Iterator[Line]:
    """Yield the gravest cause with its fix; nothing if no binding clause is concerned."""
    if not groups or not is_grave(report, groups[0]) or report.conclusion not in _BLAMING:
        return
    head = groups[0].head
    place = place_text(place_of(head.finding))
    at = f", at {place}" if place else ""
    is_breach = head.verdict in BREACHES
    what = head.clause.consequence if is_breach else head.finding.reason
    for label, text in (
        (
            "Worst:" if is_breach else "Cause:",
            f"{what} ({head.clause.id}, {importance(head.clause)}){at}",
        ),
        ("Fix:", fix_for(head.finding, head.clause)),
    ):
        lines = wrap(text, width - 11) if text else []
        for number, line in enumerate(lines):
            yield Line(f"    {'' if number else label:<6} {line}", "" if number else "bold")


# Conclusions that a clause is the cause of.
_BLAMING = (Conclusion.FAILED, Conclusion.NOTHING_TESTED, Conclusion.INTERRUPTED)


_HEADLINES = {
    Conclusion.INTERRUPTED: ("?", "INTERRUPTED, a partial report", "purple"),
    Conclusion.KIT_FAILED: ("E", "THE KIT FAILED, no verdict on the client", "red"),
    Conclusion.DRIVER_FAILED: ("?", "THE DRIVER FAILED", "purple"),
    Conclusion.NOTHING_TESTED: ("?", "NOTHING WAS TESTED", "purple"),
    Conclusion.FAILED: ("✗", "DOES NOT CONFORM at level {level}", "red"),
    Conclusion.OUT_OF_TIME: ("?", "OUT OF TIME, a partial report", "purple"),
    Conclusion.NO_VIOLATION_SEEN: ("✓", "no violation seen; {left_out} not exercised", "green"),
    Conclusion.NOTHING_FAILED: ("✓", "NOTHING FAILED at level {level}{known}", "green"),
    Conclusion.CONFORMS: ("✓", "CONFORMS at level {level}{known}", "green"),
}


def _headline(report: Report) -> tuple[str, str, str]:
    """Return the mark, the conclusion in a few words, and the style of both.

    Known failures are mentioned beside a good conclusion, so that it does not hide them.
    """
    mark, words, style = _HEADLINES[report.conclusion]
    filled = words.format(
        level=report.facts.fail_on.value,
        known=", known failures aside" if report.count(Verdict.KNOWN) else "",
        left_out=counted_clauses(len(report.left_out)),
    )
    return mark, filled, style


def _partial_run_note(report: Report) -> str:
    """Return a sentence about the limits of a partial run; empty after a whole run.

    A clause was unreached if the user selected it and none of its test cases began.
    """
    left_out = report.left_out
    # Observed traffic has its own headline, which says the same.
    if report.observed or not left_out:
        return ""
    selected = [row for row in report.rows if row.was_selected]
    unselected = len(report.rows) - len(selected)
    unreached = len(left_out) - unselected
    parts = [f"{counted_clauses(report.count(Verdict.PASSED))} passed of {len(selected)} selected"]
    parts += [f"{unselected} not selected"] if unselected else []
    parts += [f"{unreached} not reached"] if unreached else []
    return f"{'; '.join(parts)}: a partial run does not say whether the client conforms"


def _causes(report: Report, groups: Sequence[Group]) -> Iterator[str]:
    """Yield the ids of the clauses by which a client does not conform, the gravest first.

    Clauses that another of them blocks are left out.
    """
    failures = {row.clause.id for row in report.failures}
    blocked = {row.clause.id for row in report.blocked}
    for group in groups:
        for row in (group.head, *group.also_broken):
            blocks_binding = row is group.head and any(
                each.clause.id in blocked for each in group.blocked
            )
            if row.clause.id in failures | blocked or blocks_binding:
                yield row.clause.id
    yield from (row.clause.id for row in report.failures if row.verdict is Verdict.STALE)
    yield from (row.clause.id for row in ungrouped(report, groups) if row.clause.id in blocked)


def _next_steps(report: Report, groups: Sequence[Group]) -> Iterator[str]:
    """Yield the next step for the user; nothing if there is none.

    A step is one command or one change. Observed traffic cannot be checked by clause, so there it
    is another audit.
    """
    # One step only, and the most urgent: errors of the kit or the driver may be the cause of every
    # other problem of the run.
    failed = {row.clause.id for row in report.failures if row.verdict is not Verdict.STALE}
    first = next((g.head for g in groups if g.head.clause.id in failed), None)
    stale = [row.clause.id for row in report.failures if row.verdict is Verdict.STALE]
    obstacle = next((g.head for g in groups if g.head.verdict is Verdict.NOT_TESTED), None)
    if report.conclusion is Conclusion.KIT_FAILED:
        yield "Next: report the errors above to the authors of mockbroker, with the traceback"
    elif report.facts.driver_failures:
        yield f"Next: {LOOK_AT_THE_DRIVER}"
    elif first is not None:
        yield f"Next: fix {first.clause.id}, then {_check_of(report, first)}"
    elif stale:
        yield f"Next: {stale[0]} passes; remove its entry from {Path(report.facts.known.file).name}"
    elif report.facts.interrupted:
        return
    elif report.facts.out_of_time:
        yield f"Next: the run was out of time; give it more with {report.facts.options}budget"
    elif report.blocked and obstacle is not None:
        yield f"Next: fix {_subject(obstacle)}, then {_check_of(report, obstacle)}"
    elif report.blocked:
        yield "Next: look at the reasons after NOT TESTED"
    elif report.count(Verdict.ADVICE):
        level = Level.PRACTICE.value.lower()
        yield f"Next: look at the advice; {report.facts.options}fail-on {level} makes it binding"


def _subject(obstacle: Row) -> str:
    """Return what to fix first if a cause has no verdict."""
    mistake = mistake_of(obstacle.finding)
    if mistake is None:
        return f"what prevents {obstacle.clause.id}"
    return f"the {mistake.type_name} at {place_text(mistake.place)}"


def _check_of(report: Report, row: Row) -> str:
    """Return how to check one clause again, as a command if it can be repeated by one."""
    if report.observed:
        return "audit again"
    command = report.facts.provenance.command_for(row.clause.id)
    if command:
        return f"check it alone: {command}"
    return f"check it alone with {report.facts.options}only {row.clause.id}"
