"""The report as lines for a terminal, with named styles and without control characters.

The same lines serve the commands and pytest's summary, which apply the styles themselves.

Evidence stands below the table, and the conclusion at the end: a terminal shows the end of its
output first. Strings of a run are escaped when a line is printed, by `plain`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Clause, Level
from mockbroker.model.escaping import printable
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import Listing, Standing
from mockbroker.report.next_steps import LOOK_AT_THE_DRIVER
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.wording import diagnosis_text, exchange_lines, step_lines

__all__ = ["Line", "encodable", "finding_lines", "plain", "render", "width_of"]

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


def render(report: Report, width: int) -> Iterator[Line]:
    """Yield the whole report: the table, the evidence, the measurements and the conclusion.

    ``width`` is in columns. Lines with evidence may be longer, so that they can be copied.
    """
    yield Line(
        f"The contract · {report.client.target or 'client'} · profile {report.profile}", "bold"
    )
    yield from _table(report.rows, width)
    # Reversed, so that the costliest breach stands last: the end of a long output is what a user
    # sees.
    for row in reversed(report.costliest_first):
        yield Line()
        lines = finding_lines(
            row.finding, reproduce=report.reproduce(row), with_times=report.observed
        )
        yield from (replace(line, text=f"  {line.text}") for line in lines)
    yield from _known(report, width)
    yield from _measured(report.measured)
    yield from _limits(report.limits, width)
    yield from _errors(report, width)
    yield Line()
    yield from _verdict(report, width)


def _table(rows: Iterable[Row], width: int) -> Iterator[Line]:
    """Yield the verdicts by chapter, and the clauses that were not run at the end.

    ``rows`` must be in catalogue order, because only neighbours of a chapter are grouped.
    """
    not_run: list[Row] = []
    for chapter, members in groupby(rows, key=lambda row: row.clause.chapter):
        run: list[Row] = []
        for row in members:
            (run if row.was_run else not_run).append(row)
        if run:
            yield Line()
            yield Line(f"  {chapter}", "bold")
            for row in run:
                yield from _row(row, width)
    yield from _not_run(not_run, width)


def _row(row: Row, width: int) -> Iterator[Line]:
    """Yield the lines of one verdict."""
    mark, style = _MARKS[row.verdict]
    name = row.clause.id.partition(".")[2] or row.clause.id
    words = row.clause.title
    if row.verdict is not Verdict.PASSED:
        words = f"{row.verdict.value}: {row.finding.in_words}"
    # PRACTICE, the longest level, has 8 letters. A longer id moves its words to the right.
    head = f"    {mark} {row.clause.level.value:<8}  {name:<22}  "
    room = width - len(head)
    passed = row.verdict is Verdict.PASSED
    # A clause that passes takes one line. The reason of any other verdict is shown in full.
    lines = [textwrap.shorten(words, room, placeholder=" …")] if passed else _wrap(words, room)
    for text in lines:
        yield Line(head + text, style)
        head = " " * len(head)


def _wrap(text: str, width: int) -> list[str]:
    # Not at hyphens: ids such as refresh.not-too-eager must stay whole to be found and copied.
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _not_run(rows: Iterable[Row], width: int) -> Iterator[Line]:
    """Yield the clauses that were not run, under each reason."""
    # `groupby` joins neighbours only, so the rows are sorted first.
    # By reason, not by clause: a run of one clause leaves out all others for the same reason.
    for reason, members in groupby(
        sorted(rows, key=lambda row: row.finding.in_words), key=lambda row: row.finding.in_words
    ):
        clauses = [row.clause for row in members]
        yield Line()
        yield Line(f"  ? NOT TESTED: {reason} ({len(clauses)})", "purple")
        names = ", ".join(_by_chapter(clauses))
        yield from (Line(f"      {line}", "purple") for line in _wrap(names, width - 6))


def _by_chapter(clauses: Iterable[Clause]) -> Iterator[str]:
    """Yield the ids of these clauses in catalogue order, and ``chapter.*`` for a whole chapter."""
    for chapter, members in groupby(
        sorted(clauses, key=CATALOGUE.index), key=lambda clause: clause.chapter
    ):
        ids = [member.id for member in members]
        whole = len(ids) == sum(known.chapter == chapter for known in CATALOGUE)
        yield from [f"{chapter}.*"] if whole and len(ids) > 1 else ids


def finding_lines(
    finding: Finding, *, reproduce: str = "", with_times: bool = False
) -> Iterator[Line]:
    """Yield the evidence for the verdict on one clause, with the clause's title and fix.

    ``reproduce`` is a command that shows the breach. ``with_times`` adds the time of each
    exchange.
    """
    mark, style = _MARKS[finding.verdict]
    # Title, sources and fix come from the catalogue; a finding holds only what the run found.
    known = clause_named(finding.clause_id)
    yield Line(f"{mark} {known.id} ({known.level.value}): a client {known.title}", style)
    sources = "; ".join(str(source) for source in known.sources)
    is_error = finding.verdict is Verdict.ERROR
    for label, text in (
        ("found", finding.in_words),
        ("likely", diagnosis_text(finding.diagnosis)),
        ("source", sources),
        ("steps", "\n".join(step_lines(finding.steps))),
        ("error" if is_error else "details", finding.details),
        ("traffic", "\n".join(exchange_lines(finding.exchanges, with_times=with_times))),
        ("repeat", reproduce),
        # An error of the kit is not for the user's client to fix.
        ("fix", "" if is_error else known.fix),
    ):
        yield from _labelled(label, text)


def _labelled(label: str, text: str) -> Iterator[Line]:
    """Yield a label and its text, one line for each line of the text; nothing for an empty text."""
    for number, line in enumerate(textwrap.dedent(text).splitlines()):
        head = label if number == 0 else ""
        yield Line(f"    {head:<8} {line}", "faint" if label == "traffic" else "")


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
        yield Line("  Measured: " + " · ".join(texts))


def _limits(limits: Iterable[str], width: int) -> Iterator[Line]:
    """Yield the guarantees of the client's isolation that did not hold in this run."""
    for limit in limits:
        yield Line()
        lines = textwrap.wrap(f"Limit of this run: {limit}", width - 4, subsequent_indent="  ")
        yield from (Line(f"  {line}", "yellow") for line in lines)


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


# Other conclusions have no causes among the clauses, or need none.
_BECAUSE = {
    Conclusion.FAILED: "because of",
    Conclusion.INTERRUPTED: "failed or blocked so far:",
    Conclusion.KIT_FAILED: "also failed or blocked:",
}


def _verdict(report: Report, width: int) -> Iterator[Line]:
    """Yield the conclusion, the counts, the causes and the next step."""
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
    causes = ", ".join(_causes(report))
    because = _BECAUSE.get(report.conclusion)
    if causes and because:
        lines = textwrap.wrap(
            f"{because} {causes}",
            width - 6,
            break_on_hyphens=False,
            subsequent_indent="  ",
        )
        yield from (Line(f"    {line}", "red") for line in lines)
    yield from (Line(f"  {text}") for text in _next_steps(report))


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


def _causes(report: Report) -> Iterator[str]:
    """Yield the ids of the clauses by which a client does not conform.

    Clauses that another of them blocks are left out.
    """
    rows = (*report.failures, *report.blocked)
    named = {row.clause.id for row in rows}
    # A clause may name itself as its blocker; leaving it out would hide the cause.
    yield from (row.clause.id for row in rows if row.blocker not in named - {row.clause.id})


def _next_steps(report: Report) -> Iterator[str]:
    """Yield the next step for the user; nothing if there is none.

    A step is one command or one change. Observed traffic cannot be checked by clause, so there it
    is another audit.
    """
    # One step only, and the most urgent: errors of the kit or the driver may be the cause of every
    # other problem of the run.
    first = report.failures[0].clause.id if report.failures else ""
    if report.conclusion is Conclusion.KIT_FAILED:
        yield "  Next: report the errors above to the authors of mockbroker, with the traceback"
    elif report.driver_failures:
        yield f"  Next: {LOOK_AT_THE_DRIVER}"
    elif first and report.failures[0].verdict is Verdict.STALE:
        yield f"  Next: {first} passes; remove its entry from {Path(report.known_file).name}"
    elif first:
        then = (
            "audit again"
            if report.observed
            else f"check it alone with {report.options}only {first}"
        )
        yield f"  Next: fix {first}, then {then}"
    elif report.interrupted:
        return
    elif report.out_of_time:
        yield f"  Next: the run was out of time; give it more with {report.options}budget"
    elif report.blocked:
        yield '  Next: fix the clause named after "blocked by" first'
    elif report.count(Verdict.ADVICE):
        level = Level.PRACTICE.value.lower()
        yield f"  Next: look at the advice; {report.options}fail-on {level} makes it binding"
