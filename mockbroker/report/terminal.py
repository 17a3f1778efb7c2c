"""The report as lines for a terminal, with named styles and without control characters.

The same lines serve the commands and pytest's summary, which apply the styles themselves.

The overview stands at the beginning; the gravest breach and the next step stand at the end as
well, because a terminal shows the end of its output first. Strings of a run are escaped when a line
is printed, by `plain`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec import structs

from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Clause, Level
from mockbroker.model.escaping import printable
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.groups import (
    Group,
    groups_of,
    mistake_of,
    place_of,
    ungrouped,
)
from mockbroker.report.headline import fix_for, overview_of
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import Listing, Standing
from mockbroker.report.next_steps import LOOK_AT_THE_DRIVER
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.wording import exchange_lines, place_text, reason_text, step_lines

__all__ = ["Line", "breach_line", "encodable", "finding_lines", "plain", "render", "width_of"]

# Logs of CI servers report no width or a very large one; lines beyond 120 columns are hard to read.
_MIN_WIDTH, _MAX_WIDTH = 80, 120
# ✓ and ✗ have a replacement in `_ASCII`; the other marks are ASCII already.
_MARKS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "red"),
    Verdict.ADVICE: ("!", "yellow"),
    Verdict.NOT_APPLICABLE: ("-", "faint"),
    Verdict.NOT_TESTED: ("?", "purple"),
    Verdict.KNOWN: ("k", "yellow"),
    Verdict.STALE: ("s", "red"),
    Verdict.HANG: ("H", "red"),
    Verdict.CRASH: ("C", "red"),
    Verdict.ERROR: ("E", "red"),
}
# An entry that excuses nothing has the mark of a failure.
_STANDINGS = {
    Standing.KNOWN: ("k", "yellow"),
    Standing.STALE: ("s", "red"),
    Standing.EXPIRED: ("✗", "red"),
    Standing.NO_REASON: ("✗", "red"),
    Standing.UNMATCHED: ("?", "purple"),
}
# Marks with a meaning get an ASCII mark; "?" in their place would look like "not tested".
_ASCII = str.maketrans({"✓": "+", "✗": "x", "→": ">", "·": "-", "…": "...", "“": '"', "”": '"'})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the name of its style: a colour, ``bold``, ``faint`` or none.

    Styles are names, so that each caller uses its own library for colours.
    """

    text: str = ""
    style: str = ""


def plain(text: str, encoding: str | None) -> str:
    """Return the string as one line of printable characters that the encoding has.

    ``encoding`` is that of the stream; None, as of a stream without one, means ASCII.
    """
    return encodable(printable(text), encoding)


def encodable(text: str, encoding: str | None) -> str:
    """Replace the characters that the encoding lacks, unless it has all of them."""
    # Windows consoles and CI servers still use cp1252 and others. A UnicodeEncodeError would end a
    # check of some minutes without its report.
    try:
        text.encode(encoding or "ascii")
    # LookupError: Python does not know the encoding that the stream names.
    except (UnicodeEncodeError, LookupError):
        return text.translate(_ASCII).encode("ascii", "replace").decode()
    return text


def width_of(columns: int) -> int:
    """Return the width of a report on a terminal with so many columns."""
    return max(_MIN_WIDTH, min(columns, _MAX_WIDTH))


def render(report: Report, width: int, *, verbose: bool = False) -> Iterator[Line]:
    """Yield the whole report: an overview, the chapters, the causes, facts and the conclusion.

    ``width`` is in columns. Steps, exchanges and commands may be longer, so that they can be
    copied. ``verbose`` gives each clause a line, and each advice its evidence.
    """
    yield Line(
        f"The contract · {report.client.target or 'client'} · profile {report.profile}", "bold"
    )
    yield Line()
    yield from (Line(f"  {text}", "bold") for text in _wrap(overview_of(report), width - 2))
    groups = groups_of(report)
    unjudged = ungrouped(report, groups)
    if verbose:
        yield from _table(report.rows, {row.clause.id for row in unjudged}, width)
        unjudged = ()
    else:
        yield from _chapters(report.rows, width)
    yield from _causes_in_full(report, groups, width, verbose=verbose)
    yield from _unjudged((*unjudged, *report.left_out), width)
    yield from _known(report, width)
    yield from _measured(report.measured)
    yield from _limits(report.limits, width)
    yield from _errors(report, width)
    yield Line()
    yield from _verdict(report, groups, width)


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
            f"{_MARKS[verdict][0]} {', '.join(_name(row) for row in run if row.verdict is verdict)}"
            for verdict in _NAMED
            if verdict in verdicts
        ]
        parts += [
            # Joined by a space that is not a place to wrap.
            f"{_MARKS[verdict][0]}\N{NO-BREAK SPACE}{verdicts.count(verdict)}"
            f"\N{NO-BREAK SPACE}{verdict.value}"
            for verdict in _COUNTED
            if verdict in verdicts
        ]
        style = _MARKS[min(verdicts, key=(*_NAMED, *_COUNTED).index)][1]
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
    mark, style = _MARKS[row.verdict]
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
    lines = [textwrap.shorten(words, room, placeholder=" …")] if passed else _wrap(words, room)
    for text in lines:
        yield Line(head + text, style)
        head = " " * len(head)


def _name(row: Row) -> str:
    """Return the id of the clause without its chapter."""
    return row.clause.id.partition(".")[2] or row.clause.id


def _wrap(text: str, width: int) -> list[str]:
    # Not at hyphens: ids such as refresh.not-too-eager must stay whole to be found and copied.
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _unjudged(rows: Iterable[Row], width: int) -> Iterator[Line]:
    """Yield the clauses without a verdict that no cause explains, under each reason."""
    # `groupby` joins neighbours only, so the rows are sorted first.
    # By reason, not by clause: a run of one clause leaves out all others for the same reason.
    for reason, members in groupby(
        sorted(rows, key=lambda row: row.finding.in_words), key=lambda row: row.finding.in_words
    ):
        clauses = [row.clause for row in members]
        yield Line()
        for text in _wrap(f"? NOT TESTED: {reason} ({len(clauses)})", width - 2):
            yield Line(f"  {text}", "purple")
        names = ", ".join(_by_chapter(clauses))
        yield from (Line(f"      {line}", "purple") for line in _wrap(names, width - 6))


def _by_chapter(clauses: Iterable[Clause], left_out: Container[str] = ()) -> Iterator[str]:
    """Yield the ids of these clauses in catalogue order, and ``chapter.*`` for a whole chapter.

    Ids that are ``left_out`` need not be among the clauses for a chapter to be whole.
    """
    for chapter, members in groupby(
        sorted(clauses, key=CATALOGUE.index), key=lambda clause: clause.chapter
    ):
        ids = [member.id for member in members]
        others = (known for known in CATALOGUE if known.chapter == chapter)
        whole = len(ids) == sum(known.id not in left_out for known in others)
        yield from [f"{chapter}.*"] if whole and len(ids) > 1 else ids


# Advice in full only if there is little of it and nothing that binds: it must not hide a breach.
_MAX_ADVICE_IN_FULL = 3


def _causes_in_full(
    report: Report, groups: Sequence[Group], width: int, *, verbose: bool
) -> Iterator[Line]:
    """Yield each cause with its evidence, the gravest first; advice in brief if there is more."""
    grave = [group for group in groups if _is_grave(report, group)]
    advice = [group for group in groups if group not in grave]
    is_full = verbose or (not grave and len(advice) <= _MAX_ADVICE_IN_FULL)
    for group in (*grave, *(advice if is_full else ())):
        yield Line()
        yield from (
            replace(line, text=f"  {line.text}") for line in _group_lines(report, group, width - 2)
        )
    if advice and not is_full:
        yield Line()
        yield Line(f"  Advice ({len(advice)}); {report.options}verbose shows the steps", "bold")
        for group in advice:
            yield from _advice(report, group, width)


def _is_grave(report: Report, group: Group) -> bool:
    return any(report.is_binding(row.clause) for row in group.rows)


def _advice(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield two lines at most for a cause, and those for what it blocks."""
    head = group.head
    _, style = _MARKS[head.verdict]
    lines = textwrap.wrap(
        breach_line(head.finding),
        width - 4,
        subsequent_indent="  ",
        break_on_hyphens=False,
        max_lines=2,
        placeholder=" …",
    )
    yield from (Line(f"    {text}", style) for text in lines)
    yield from (
        replace(line, text=f"  {line.text}") for line in _consequences(report, group, width - 2)
    )


def _importance(clause: Clause) -> str:
    return f"{clause.level.value}, {clause.impact.value}"


def _group_lines(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield the evidence for a cause, and what else it breaks and blocks."""
    yield from finding_lines(
        group.head.finding,
        reproduce=report.reproduce(group.head),
        with_times=report.observed,
        width=width,
    )
    yield from _consequences(report, group, width)


def _consequences(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield the clauses that a cause also breaks, each in a line, and those that it blocks."""
    for number, row in enumerate(group.also_broken):
        mark, style = _MARKS[row.verdict]
        words = f"{mark} {row.clause.id} ({_importance(row.clause)}): {row.finding.reason}"
        text = textwrap.shorten(words, max(width - _LABEL_WIDTH, 1), placeholder=" …")
        yield Line(f"{_label('' if number else 'breaks')}{text}", style)
    if group.blocked:
        # The head itself, and what this profile does not have, cannot be blocked by it.
        unblockable = {
            row.clause.id for row in report.rows if row.verdict is Verdict.NOT_APPLICABLE
        }
        unblockable.add(group.head.clause.id)
        names = ", ".join(_by_chapter((row.clause for row in group.blocked), unblockable))
        text = f"{_clauses(len(group.blocked))}: {names}"
        yield from _labelled("blocks", text, width, style="purple")


def finding_lines(
    finding: Finding, *, reproduce: str = "", with_times: bool = False, width: int = _MAX_WIDTH
) -> Iterator[Line]:
    """Yield the evidence for the verdict on one clause, with the clause's title and fix.

    ``reproduce`` is a command that shows the breach. ``with_times`` adds the time of each
    exchange. Prose is wrapped to ``width`` columns.
    """
    mark, style = _MARKS[finding.verdict]
    # Title, sources and fix come from the catalogue; a finding holds only what the run found.
    known = clause_named(finding.clause_id)
    heading = f"{mark} {known.id} ({_importance(known)}): a client {known.title}"
    for text in textwrap.wrap(heading, width, subsequent_indent="  ", break_on_hyphens=False):
        yield Line(text, style)
    is_breach = finding.verdict in BREACHES
    is_error = finding.verdict is Verdict.ERROR
    yield from _labelled("found", finding.in_words, width)
    yield from _labelled("at", place_text(place_of(finding)), width)
    if is_breach:
        yield from _labelled("leads to", known.consequence, width)
        yield from _labelled("source", "; ".join(map(str, known.sources)), width)
    for label, text in (
        ("steps", "\n".join(step_lines(finding.steps))),
        ("error" if is_error else "details", finding.details),
        ("traffic", "\n".join(_traffic(finding.exchanges, with_times=with_times))),
        ("repeat", reproduce),
    ):
        yield from _labelled(label, text, style="faint" if label == "traffic" else "")
    # An error of the kit is not for the user's client to fix.
    if not is_error:
        yield from _labelled("fix", fix_for(finding), width)


def breach_line(finding: Finding) -> str:
    """Return a breach in one line, for the log of a run that goes on."""
    clause = clause_named(finding.clause_id)
    mark, _ = _MARKS[finding.verdict]
    return f"{mark} {clause.id} ({_importance(clause)}): {finding.in_words}"


_LABEL_WIDTH = 13


def _label(label: str) -> str:
    return f"    {label:<8} "


def _labelled(label: str, text: str, width: int = 0, *, style: str = "") -> Iterator[Line]:
    """Yield a label and its text, one line for each line of the text; nothing for an empty text.

    Each line is wrapped to ``width`` columns, unless that is 0.
    """
    lines = textwrap.dedent(text).splitlines()
    if width:
        lines = [part for line in lines for part in _wrap(line, max(width - _LABEL_WIDTH, 1))]
    for number, line in enumerate(lines):
        yield Line(f"{_label('' if number else label)}{line}", style)


# Three requests that are alike are shown; of more, as in a flood, the number is enough.
_MAX_ALIKE = 3


def _traffic(exchanges: Iterable[ExchangeRecord], *, with_times: bool) -> Iterator[str]:
    """Yield a line for each exchange; many neighbours that are alike take two lines."""
    for _, members in groupby(
        exchanges, key=lambda each: structs.replace(each, number=0, at_seconds=0)
    ):
        alike = list(members)
        if len(alike) <= _MAX_ALIKE:
            yield from exchange_lines(alike, with_times=with_times)
        else:
            yield from exchange_lines(alike[:1], with_times=with_times)
            yield f"{len(alike) - 1} more like it, up to #{alike[-1].number}"


def _errors(report: Report, width: int) -> Iterator[Line]:
    """Yield the errors of the kit, each once, with the clauses that have no verdict by it.

    An error that belongs to no clause is printed as well, without a list of clauses.
    """
    by_error: dict[KitError, list[Clause]] = {error: [] for error in report.errors}
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
        yield from (Line(f"    {line}", "red") for line in _wrap(f"E {error.reason}", width - 4))
        if clauses:
            names = f"clauses ({len(clauses)}): {', '.join(_by_chapter(clauses))}"
            yield from (Line(f"      {line}") for line in _wrap(names, width - 6))
        yield from (Line(f"      {line}") for line in error.traceback.splitlines())


def _known(report: Report, width: int) -> Iterator[Line]:
    """Yield the known failures with their states, and what the rows of the table leave out."""
    if not report.listings:
        return
    # Counted and sorted by `Standing`, not by verdict: two standings can have the same verdict.
    standings = [listing.standing for listing in report.listings]
    counts = (f"{standings.count(s)} {s.value}" for s in Standing if s in standings)
    yield Line()
    yield Line(f"  Known failures, by {Path(report.known_file).name}: {', '.join(counts)}", "bold")
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


def _measured(facts: Any) -> Iterator[Line]:
    """Yield one line with all measured values; nothing if none is to be shown."""
    texts = [text for text in (_fact(name, value) for name, value in facts.items()) if text]
    if texts:
        yield Line()
        yield Line("  Measured: " + " · ".join(texts))


def _limits(limits: Iterable[str], width: int) -> Iterator[Line]:
    """Yield the guarantees of the client's isolation that did not hold in this run."""
    for limit in limits:
        yield Line()
        lines = textwrap.wrap(f"Limit of this run: {limit}", width - 4, subsequent_indent="  ")
        yield from (Line(f"  {line}", "yellow") for line in lines)


def _fact(name: str, value: Any) -> str:
    """Return a measured value as text; empty for one that the report leaves out."""
    if name == "leeway_at_once_seconds":
        return ""  # a second measurement of leeway_seconds
    if name == "leeway_seconds":
        # The leeway is measured by bisection, so it is known as a range.
        low, high = value
        return f"leeway {low:g} s" if low == high else f"leeway {low:g} to {high:g} s"
    return f"{name.replace('_', ' ')} {value}"


# Other conclusions have no causes among the clauses, or need none.
_BECAUSE = {
    Conclusion.FAILED: "because of",
    Conclusion.INTERRUPTED: "failed or blocked so far:",
    Conclusion.KIT_FAILED: "also failed or blocked:",
}


def _verdict(report: Report, groups: Sequence[Group], width: int) -> Iterator[Line]:
    """Yield the conclusion, the counts, the causes, the gravest of them and the next step."""
    mark, words, style = _headline(report)
    counts = ", ".join(
        f"{report.count(verdict)} {verdict.value}" for verdict in Verdict if report.count(verdict)
    )
    yield Line(f"  {mark} {words}: {counts}", style)
    # Also below other headlines: a failure of the driver may explain a breach.
    if report.driver_failures:
        yield from (Line(f"    {each}", "purple") for each in report.driver_failures)
    note = _partial_run_note(report)
    if note:
        yield from (Line(f"    {line}", style) for line in _wrap(note, width - 4))
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
    if not groups or not _is_grave(report, groups[0]) or report.conclusion not in _BLAMING:
        return
    head = groups[0].head
    place = place_text(place_of(head.finding))
    at = f", at {place}" if place else ""
    is_breach = head.verdict in BREACHES
    what = head.clause.consequence if is_breach else head.finding.reason
    for label, text in (
        (
            "Worst:" if is_breach else "Cause:",
            f"{what} ({head.clause.id}, {_importance(head.clause)}){at}",
        ),
        ("Fix:", fix_for(head.finding)),
    ):
        lines = _wrap(text, width - 11) if text else []
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
        level=report.fail_on.value,
        known=", known failures aside" if report.count(Verdict.KNOWN) else "",
        left_out=_clauses(len(report.left_out)),
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
    parts = [f"{_clauses(report.count(Verdict.PASSED))} passed of {len(selected)} selected"]
    parts += [f"{unselected} not selected"] if unselected else []
    parts += [f"{unreached} not reached"] if unreached else []
    return f"{'; '.join(parts)}: a partial run does not say whether the client conforms"


def _clauses(count: int) -> str:
    return "1 clause" if count == 1 else f"{count} clauses"


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
    elif report.driver_failures:
        yield f"Next: {LOOK_AT_THE_DRIVER}"
    elif first is not None:
        yield f"Next: fix {first.clause.id}, then {_check_of(report, first)}"
    elif stale:
        yield f"Next: {stale[0]} passes; remove its entry from {Path(report.known_file).name}"
    elif report.interrupted:
        return
    elif report.out_of_time:
        yield f"Next: the run was out of time; give it more with {report.options}budget"
    elif report.blocked and obstacle is not None:
        yield f"Next: fix {_subject(obstacle)}, then {_check_of(report, obstacle)}"
    elif report.blocked:
        yield "Next: look at the reasons after NOT TESTED"
    elif report.count(Verdict.ADVICE):
        level = Level.PRACTICE.value.lower()
        yield f"Next: look at the advice; {report.options}fail-on {level} makes it binding"


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
    command = report.run.command_for(row.clause.id)
    if command:
        return f"check it alone: {command}"
    return f"check it alone with {report.options}only {row.clause.id}"
