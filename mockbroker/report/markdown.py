"""The report as Markdown, for a job summary or a comment on a pull request.

Every string from a run is escaped. It may come from the client, and GitHub renders it.

The table has only what needs attention; a clause that passes is just counted. GitHub limits the
length of a summary and of a comment.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from mockbroker.contract.clause import Source
from mockbroker.report.document import document_of
from mockbroker.report.evidence import evidence_lines
from mockbroker.report.finding import BREACHES, Verdict
from mockbroker.report.groups import Group, groups_of
from mockbroker.report.headline import fix_for, overview_of
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.scenario_text import event_text, outcome_text

__all__ = ["markdown_of"]

_MARKS = {
    Verdict.ERROR: "🛑",
    Verdict.FAILED: "❌",
    Verdict.HANG: "❌",
    Verdict.CRASH: "❌",
    Verdict.STALE: "❌",
    Verdict.ADVICE: "⚠️",
    Verdict.NOT_TESTED: "❔",
    Verdict.KNOWN: "📌",
}


# What Markdown or GitHub would read as markup. A string from a client could break the table, or
# insert links, images and references to issues.
_SPECIAL = re.compile(r"[\\|`*_\[\]~$#!]")
# Conclusions that are missing here are good ones.
_CONCLUSIONS = {
    Conclusion.INTERRUPTED: "❔",
    Conclusion.KIT_FAILED: "🛑",
    Conclusion.DRIVER_FAILED: "❔",
    Conclusion.NOTHING_TESTED: "❔",
    Conclusion.FAILED: "❌",
    Conclusion.OUT_OF_TIME: "❔",
}


def markdown_of(report: Report) -> str:
    """Return the conclusion, a table of the problems, and the folded evidence for each."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    """Yield the lines: the conclusion, the table of problems, and their evidence."""
    mark = _CONCLUSIONS.get(report.conclusion, "✅")
    # A third-level heading: the summary usually stands below headings of the job.
    yield f"### Token client contract: {mark} {report.conclusion.value}"
    yield ""
    yield _cell(overview_of(report))
    yield ""
    if report.is_partial:
        yield (
            f"Partial: {len(report.left_out)} of {len(report.rows)} clauses were not judged, so "
            "this does not say whether the client conforms."
        )
        yield ""
    counts = ", ".join(f"{report.count(v)} {v.value}" for v in Verdict if report.count(v))
    yield (
        f"{_cell(report.facts.client.target or 'client')} · "
        f"profile {_cell(report.facts.profile)} · level {report.facts.fail_on.value} · {counts}"
    )
    groups = groups_of(report)
    # The gravest cause first, and what has the same cause below it; then what has no cause.
    blocked = {row.clause.id for group in groups for row in group.blocked}
    ordered = {
        row.clause.id: row
        for rows in (*((g.head, *g.also_broken) for g in groups), report.rows)
        for row in rows
    }
    problems = [
        row for row in ordered.values() if _is_problem(row) and row.clause.id not in blocked
    ]
    if problems:
        yield ""
        yield "| | clause | level | found |"
        yield "|-|-|-|-|"
        for row in problems:
            mark = f"{_MARKS[row.verdict]} {row.verdict.value}"
            reason = _cell(row.finding.in_words)
            yield f"| {mark} | `{row.clause.id}` | {row.clause.level.value} | {reason} |"
        for group in groups:
            if group.blocked:
                yield _blocked(group)
    for row in problems:
        # The others need no evidence: their reason in the table says what to do.
        if row.verdict in BREACHES or row.verdict is Verdict.ERROR:
            yield from _evidence(row, report.reproduce(row))
    yield from _circumstances(report)
    for error in report.facts.errors:
        yield ""
        yield f"🛑 {_cell(error.reason)}"
        yield ""
        yield f"<pre>{html.escape(error.traceback)}</pre>"
    yield from _provenance(report)


def _circumstances(report: Report) -> Iterator[str]:
    """Yield the planned events of an audit, and the limits of the run."""
    for each in report.facts.scenario:
        yield ""
        yield f"Scenario: {_cell(f'{event_text(each.event)}: {outcome_text(each)}')}"
    # Even in a good report: a reader should know what this run could not guarantee.
    for limit in report.facts.limits:
        yield ""
        yield f"Limit of this run: {_cell(limit)}"


def _provenance(report: Report) -> Iterator[str]:
    """Yield where the report comes from, folded."""
    yield ""
    yield "<details><summary>About this run</summary>"
    yield ""
    for label, text in provenance_of(document_of(report)):
        yield f"- {label}: {_cell(text)}"
    yield ""
    yield "</details>"


def _blocked(group: Group) -> str:
    """Return a row of the table for all clauses that one cause blocks."""
    verdict = Verdict.NOT_TESTED
    ids = ", ".join(f"`{row.clause.id}`" for row in group.blocked)
    cause = _cell(f"blocked by {group.head.clause.id}")
    count = len(group.blocked)
    clauses = f"{count} clause{'' if count == 1 else 's'}"
    return f"| {_MARKS[verdict]} {verdict.value} | {clauses} | | {cause}: {ids} |"


def _is_problem(row: Row) -> bool:
    """Return whether the table has the row: not if it passes, does not apply, or was left out.

    A known failure has a row, because the comment should show what the team has accepted.
    """
    return row.verdict in _MARKS and (row.was_run or row.verdict is not Verdict.NOT_TESTED)


def _evidence(row: Row, reproduce: str) -> Iterator[str]:
    """Yield the folded evidence for one row.

    Pre-formatted HTML, not a code fence: the evidence may itself contain a fence, which would end
    the block.
    """
    finding = row.finding
    sources = "; ".join(map(_linked, row.clause.sources))
    text = "\n".join(evidence_lines(finding, command=f"$ {reproduce}" if reproduce else ""))
    yield ""
    # Folded: the comment on a pull request stays short, and the evidence is at hand.
    yield f"<details><summary><code>{row.clause.id}</code>: a client {row.clause.title}</summary>"
    yield ""
    fix = fix_for(finding, row.clause)
    for label, advice in (("leads to", row.clause.consequence), ("fix", fix)):
        if advice and finding.verdict in BREACHES:
            yield f"**{label.capitalize()}:** {_cell(advice)}"
            yield ""
    if sources:
        yield f"**Source:** {sources}"
        yield ""
    yield f"<pre>{html.escape(text)}</pre>"
    yield "</details>"


def _linked(source: Source) -> str:
    """Return a source as a link to its public page, if it has one."""
    return f"[{_cell(str(source))}]({source.url})" if source.url else _cell(str(source))


def _cell(text: str) -> str:
    """Escape a string for a cell of a Markdown table."""
    # quote=False: an entity such as &#x27; would have its # escaped in the next step.
    # A cell ends at the line break.
    one_line = html.escape(" ".join(text.split()), quote=False)
    return _SPECIAL.sub(r"\\\g<0>", one_line)
