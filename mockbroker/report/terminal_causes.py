"""The causes of a report as lines for a terminal: evidence, and what else they break or block."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mockbroker.contract.catalogue import clause_named
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.groups import Group, place_of
from mockbroker.report.headline import fix_for
from mockbroker.report.report import Report
from mockbroker.report.terminal_lines import (
    LABEL_WIDTH,
    MARKS,
    MAX_WIDTH,
    Line,
    by_chapter,
    counted_clauses,
    importance,
    label_column,
    labelled,
)
from mockbroker.report.wording import diagnosis_text, exchange_lines, place_text, step_lines

__all__ = ["breach_line", "cause_lines", "finding_lines", "is_grave"]

# Advice in full only if there is little of it and nothing that binds: it must not hide a breach.
_MAX_ADVICE_IN_FULL = 3


def cause_lines(
    report: Report, groups: Sequence[Group], width: int, *, verbose: bool
) -> Iterator[Line]:
    """Yield each cause with its evidence, the gravest first; advice in brief if there is more."""
    grave = [group for group in groups if is_grave(report, group)]
    advice = [group for group in groups if group not in grave]
    is_full = verbose or (not grave and len(advice) <= _MAX_ADVICE_IN_FULL)
    for group in (*grave, *(advice if is_full else ())):
        yield Line()
        yield from (
            replace(line, text=f"  {line.text}") for line in _group_lines(report, group, width - 2)
        )
    if advice and not is_full:
        yield Line()
        yield Line(
            f"  Advice ({len(advice)}); {report.facts.options}verbose shows the steps", "bold"
        )
        for group in advice:
            yield from _advice(report, group, width)


def is_grave(report: Report, group: Group) -> bool:
    """Return whether a cause breaks or blocks a clause that binds in this run."""
    return any(report.is_binding(row.clause) for row in group.rows)


def _advice(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield two lines at most for a cause, and those for what it blocks."""
    head = group.head
    _, style = MARKS[head.verdict]
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


def _group_lines(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield the evidence for a cause, and what else it breaks and blocks."""
    yield from finding_lines(
        group.head.finding,
        report.facts.terms,
        reproduce=report.reproduce(group.head),
        with_times=report.observed,
        width=width,
    )
    yield from _consequences(report, group, width)


def _consequences(report: Report, group: Group, width: int) -> Iterator[Line]:
    """Yield the clauses that a cause also breaks, each in a line, and those that it blocks."""
    for number, row in enumerate(group.also_broken):
        mark, style = MARKS[row.verdict]
        words = f"{mark} {row.clause.id} ({importance(row.clause)}): {row.finding.reason}"
        text = textwrap.shorten(words, max(width - LABEL_WIDTH, 1), placeholder=" …")
        yield Line(f"{label_column('' if number else 'breaks')}{text}", style)
    if group.blocked:
        # The head itself, and what this profile does not have, cannot be blocked by it.
        unblockable = {
            row.clause.id for row in report.rows if row.verdict is Verdict.NOT_APPLICABLE
        }
        unblockable.add(group.head.clause.id)
        names = ", ".join(by_chapter((row.clause for row in group.blocked), unblockable))
        text = f"{counted_clauses(len(group.blocked))}: {names}"
        yield from labelled("blocks", text, width, style="purple")


def finding_lines(
    finding: Finding,
    profile: Profile = AUTOGRAB,
    *,
    reproduce: str = "",
    with_times: bool = False,
    width: int = MAX_WIDTH,
) -> Iterator[Line]:
    """Yield the evidence for the verdict on one clause, with the clause's title and fix.

    They are in the terms of the ``profile``. ``reproduce`` is a command that shows the breach.
    ``with_times`` adds the time of each exchange. Prose is wrapped to ``width`` columns.
    """
    mark, style = MARKS[finding.verdict]
    # Title, sources and fix come from the catalogue; a finding holds only what the run found.
    known = clause_named(finding.clause_id).for_profile(profile)
    heading = f"{mark} {known.id} ({importance(known)}): a client {known.title}"
    for text in textwrap.wrap(heading, width, subsequent_indent="  ", break_on_hyphens=False):
        yield Line(text, style)
    is_breach = finding.verdict in BREACHES
    is_error = finding.verdict is Verdict.ERROR
    yield from labelled("found", finding.in_words, width)
    yield from labelled("likely", diagnosis_text(finding.diagnosis), width)
    yield from labelled("at", place_text(place_of(finding)), width)
    if is_breach:
        yield from labelled("leads to", known.consequence, width)
        yield from labelled("source", "; ".join(map(str, known.sources)), width)
    for label, text in (
        ("steps", "\n".join(step_lines(finding.steps))),
        ("error" if is_error else "details", finding.details),
        ("traffic", "\n".join(exchange_lines(finding.exchanges, with_times=with_times))),
        ("repeat", reproduce),
    ):
        yield from labelled(label, text, style="faint" if label == "traffic" else "")
    # An error of the kit is not for the user's client to fix.
    if not is_error:
        yield from labelled("fix", fix_for(finding, known), width)


def breach_line(finding: Finding) -> str:
    """Return a breach in one line, for the log of a run that goes on."""
    clause = clause_named(finding.clause_id)
    mark, _ = MARKS[finding.verdict]
    return f"{mark} {clause.id} ({importance(clause)}): {finding.in_words}"
