"""The report as lines for a terminal, with named styles and without control characters.

The same lines serve the commands and pytest's summary, which apply the styles themselves.

The overview stands at the beginning; the gravest breach and the next step stand at the end as
well, because a terminal shows the end of its output first. Strings of a run are escaped when a line
is printed, by `plain`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mockbroker.broker.scenario_plan import Occurrence
from mockbroker.contract.clause import Clause
from mockbroker.report.document import document_of
from mockbroker.report.finding import Verdict
from mockbroker.report.groups import groups_of, ungrouped
from mockbroker.report.headline import overview_of
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import Listing, Standing
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.report import Report, Row
from mockbroker.report.scenario_text import event_text, outcome_text
from mockbroker.report.terminal_causes import cause_lines
from mockbroker.report.terminal_conclusion import conclusion_lines
from mockbroker.report.terminal_lines import MARKS, Line, by_chapter, wrap
from mockbroker.report.wording import reason_text

__all__ = ["render"]

# An entry that excuses nothing has the mark of a failure.
_STANDINGS = {
    Standing.KNOWN: ("k", "yellow"),
    Standing.STALE: ("s", "red"),
    Standing.EXPIRED: ("✗", "red"),
    Standing.NO_REASON: ("✗", "red"),
    Standing.UNMATCHED: ("?", "purple"),
}


def render(report: Report, width: int, *, verbose: bool = False) -> Iterator[Line]:
    """Yield the whole report: an overview, the chapters, the causes, facts and the conclusion.

    ``width`` is in columns. Steps, exchanges and commands may be longer, so that they can be
    copied. ``verbose`` gives each clause a line, and each advice its evidence.
    """
    yield Line(
        f"The contract · {report.facts.client.target or 'client'} · profile {report.facts.profile}",
        "bold",
    )
    yield Line()
    yield from (Line(f"  {text}", "bold") for text in wrap(overview_of(report), width - 2))
    groups = groups_of(report)
    unjudged = ungrouped(report, groups)
    if verbose:
        yield from _table(report.rows, {row.clause.id for row in unjudged}, width)
        unjudged = ()
    else:
        yield from _chapters(report.rows, width)
    yield from cause_lines(report, groups, width, verbose=verbose)
    yield from _unjudged((*unjudged, *report.left_out), width)
    yield from _known(report, width)
    yield from _measured(report.facts.measured, width)
    yield from _scenario(report.facts.scenario, width)
    yield from _limits(report.facts.limits, width)
    yield from _errors(report, width)
    yield from _provenance(report, width)
    yield Line()
    yield from conclusion_lines(report, groups, width)


# Verdicts whose clauses the line of a chapter names; of the others it has the number.
_NAMED = (
    Verdict.FAILED,
    Verdict.HANG,
    Verdict.CRASH,
    Verdict.ERROR,
    Verdict.STALE,
    Verdict.KNOWN,
    Verdict.ADVICE,
)
_COUNTED = (Verdict.PASSED, Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE)


def _chapters(rows: Iterable[Row], width: int) -> Iterator[Line]:
    """Yield a line for each chapter that was run: what was found, and the numbers of the others."""
    yield Line()
    for chapter, members in groupby(rows, key=lambda row: row.clause.chapter):
        run = [row for row in members if row.was_run]
        if not run:
            continue
        verdicts = [row.verdict for row in run]
        parts = [
            f"{MARKS[verdict][0]} {', '.join(_name(row) for row in run if row.verdict is verdict)}"
            for verdict in _NAMED
            if verdict in verdicts
        ]
        parts += [
            # Joined by a space that is not a place to wrap.
            f"{MARKS[verdict][0]}\N{NO-BREAK SPACE}{verdicts.count(verdict)}"
            f"\N{NO-BREAK SPACE}{verdict.value}"
            for verdict in _COUNTED
            if verdict in verdicts
        ]
        style = MARKS[min(verdicts, key=(*_NAMED, *_COUNTED).index)][1]
        lines = textwrap.wrap(
            f"  {chapter:<10} {'   '.join(parts)}",
            width,
            subsequent_indent=" " * 13,
            break_on_hyphens=False,
        )
        yield from (Line(text.replace("\N{NO-BREAK SPACE}", " "), style) for text in lines)


def _table(rows: Iterable[Row], unjudged: Container[str], width: int) -> Iterator[Line]:
    """Yield the verdict on each clause that was run, by chapter.

    ``rows`` must be in catalogue order, because only neighbours of a chapter are grouped. Clauses
    that are not ``unjudged``, by id, have their reason below the cause.
    """
    for chapter, members in groupby(rows, key=lambda row: row.clause.chapter):
        run = [row for row in members if row.was_run]
        if run:
            yield Line()
            yield Line(f"  {chapter}", "bold")
            for row in run:
                yield from _row(row, width, has_reason=row.clause.id in unjudged)


def _row(row: Row, width: int, *, has_reason: bool) -> Iterator[Line]:
    """Yield the lines of one verdict; of a blocked clause the blocker unless it ``has_reason``."""
    mark, style = MARKS[row.verdict]
    words = row.clause.title
    if row.verdict is not Verdict.PASSED:
        is_brief = row.is_blocked and not has_reason
        reason = reason_text("", row.finding.blocked_by) if is_brief else row.finding.in_words
        words = f"{row.verdict.value}: {reason}"
    # PRACTICE, the longest level, has 8 letters. A longer id moves its words to the right.
    head = f"    {mark} {row.clause.level.value:<8}  {_name(row):<22}  "
    room = width - len(head)
    passed = row.verdict is Verdict.PASSED
    # A clause that passes takes one line. The reason of any other verdict is shown in full.
    lines = [textwrap.shorten(words, room, placeholder=" …")] if passed else wrap(words, room)
    for text in lines:
        yield Line(head + text, style)
        head = " " * len(head)


def _name(row: Row) -> str:
    """Return the id of the clause without its chapter."""
    return row.clause.id.partition(".")[2] or row.clause.id


def _unjudged(rows: Iterable[Row], width: int) -> Iterator[Line]:
    """Yield the clauses without a verdict that no cause explains, under each reason."""
    # `groupby` joins neighbours only, so the rows are sorted first.
    # By reason, not by clause: a run of one clause leaves out all others for the same reason.
    for reason, members in groupby(
        sorted(rows, key=lambda row: row.finding.in_words), key=lambda row: row.finding.in_words
    ):
        clauses = [row.clause for row in members]
        yield Line()
        for text in wrap(f"? NOT TESTED: {reason} ({len(clauses)})", width - 2):
            yield Line(f"  {text}", "purple")
        names = ", ".join(by_chapter(clauses))
        yield from (Line(f"      {line}", "purple") for line in wrap(names, width - 6))


def _errors(report: Report, width: int) -> Iterator[Line]:
    """Yield the errors of the kit, each once, with the clauses that have no verdict by it.

    An error that belongs to no clause is printed as well, without a list of clauses.
    """
    by_error: dict[KitError, list[Clause]] = {error: [] for error in report.facts.errors}
    for row in report.rows:
        if row.verdict is Verdict.ERROR:
            # By value: one error often costs several clauses their verdict, and is printed once.
            error = KitError(row.finding.reason, row.finding.details)
            by_error.setdefault(error, []).append(row.clause)
    if not by_error:
        return
    yield Line()
    yield Line("  ERRORS OF THE KIT: they are not verdicts on the client", "red")
    for error, clauses in by_error.items():
        yield Line()
        yield from (Line(f"    {line}", "red") for line in wrap(f"E {error.reason}", width - 4))
        if clauses:
            names = f"clauses ({len(clauses)}): {', '.join(by_chapter(clauses))}"
            yield from (Line(f"      {line}") for line in wrap(names, width - 6))
        yield from (Line(f"      {line}") for line in error.traceback.splitlines())


def _known(report: Report, width: int) -> Iterator[Line]:
    """Yield the known failures with their states, and what the rows of the table leave out."""
    if not report.listings:
        return
    # Counted and sorted by `Standing`, not by verdict: two standings can have the same verdict.
    standings = [listing.standing for listing in report.listings]
    counts = (f"{standings.count(s)} {s.value}" for s in Standing if s in standings)
    yield Line()
    yield Line(
        f"  Known failures, by {Path(report.facts.known.file).name}: {', '.join(counts)}", "bold"
    )
    # The table has these clauses too; here the entry is the subject, with what to do about it.
    for listing in report.listings:
        mark, style = _STANDINGS[listing.standing]
        head = f"{mark} {listing.standing.value:<9}  {listing.failure.clause_id}"
        words = "; ".join(filter(None, (_advice_on(listing), listing.note)))
        lines = textwrap.wrap(
            f"{head}: {words}" if words else "",
            width,
            initial_indent="    ",
            # Below the id: the indent, the mark and the standing take 17 columns.
            subsequent_indent=" " * 17,
            break_on_hyphens=False,
        )
        yield from (Line(text, style) for text in lines)


def _advice_on(listing: Listing) -> str:
    """Return what to do about an entry, or what was found; empty for a known failure."""
    if listing.standing is Standing.STALE:
        return "passes; remove its entry"
    if listing.standing is Standing.EXPIRED:
        return f"on {listing.failure.expires}; fix the client, or set a later date"
    if listing.standing is Standing.NO_REASON:
        return f"replace {listing.failure.reason!r} with the reason why this failure is accepted"
    if listing.standing is Standing.UNMATCHED:
        return f"{listing.found.verdict.value}, {listing.found.in_words}"
    return ""


def _measured(facts: Any, width: int) -> Iterator[Line]:
    """Yield one line with all measured values; nothing if none is to be shown."""
    # Two numbers that mean little alone are shown as one value.
    joined = {
        name: form.format(facts[name], facts[other])
        for name, (other, form) in _JOINED.items()
        if name in facts and other in facts
    }
    others = {_JOINED[name][0] for name in joined}
    values = {**facts, **joined}
    texts = [_fact(name, value) for name, value in values.items() if name not in others]
    if texts := list(filter(None, texts)):
        yield Line()
        lines = textwrap.wrap("  Measured: " + " · ".join(texts), width, subsequent_indent=" " * 12)
        yield from map(Line, lines)


def _scenario(occurrences: Sequence[Occurrence], width: int) -> Iterator[Line]:
    """Yield the planned events of an audit, and the outcome of each."""
    if not occurrences:
        return
    yield Line()
    happened = sum(each.happened for each in occurrences)
    yield Line(f"  Scenario: {happened} of {len(occurrences)} planned events happened", "bold")
    for each in occurrences:
        mark, style = ("·", "") if each.happened else ("?", "purple")
        text = f"    {mark} {event_text(each.event)}: {outcome_text(each)}"
        lines = textwrap.wrap(text, width, subsequent_indent=" " * 6)
        yield from (Line(line, style) for line in lines)


def _limits(limits: Iterable[str], width: int) -> Iterator[Line]:
    """Yield the guarantees of the client's isolation that did not hold in this run."""
    for limit in limits:
        yield Line()
        lines = textwrap.wrap(f"Limit of this run: {limit}", width - 4, subsequent_indent="  ")
        yield from (Line(f"  {line}", "yellow") for line in lines)


def _provenance(report: Report, width: int) -> Iterator[Line]:
    """Yield where the report comes from, unless it was made without a run."""
    if report.facts.provenance.created:
        words = "; ".join(f"{label} {text}" for label, text in provenance_of(document_of(report)))
        yield Line()
        lines = textwrap.wrap(f"  Run: {words}", width, subsequent_indent=" " * 7)
        yield from (Line(line, "faint") for line in lines)


_JOINED = {
    "burst_token_requests": ("burst_token_requests_of_64", "{} of 8 uses, {} of 64"),
    "token_requests_per_day": ("token_requests_needed_per_day", "{}, needed {}"),
}


def _fact(name: str, value: Any) -> str:
    """Return a measured value as text; empty for one that the report leaves out."""
    if name == "leeway_at_once_seconds":
        return ""  # a second measurement of leeway_seconds
    if name == "leeway_seconds":
        # The leeway is measured by bisection, so it is known as a range.
        low, high = value
        return f"leeway {low:g} s" if low == high else f"leeway {low:g} to {high:g} s"
    return f"{name.replace('_', ' ')} {value}"
