"""The report as lines for a terminal: pure, styled by name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from contract_tests.verdicts import Verdict
from mockbroker.spec.clause import Level
from pytest_plugin.report import Report, Row

__all__ = ["Line", "plain", "render"]

_WIDTH = 100
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
}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "→": ">", "·": "-", "…": "...", "“": '"', "”": '"'})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the name of its style: a colour, ``bold``, ``faint`` or none."""

    text: str = ""
    style: str = ""


def plain(text: str, encoding: str | None) -> str:
    """The text as that encoding can show it."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_ASCII).encode("ascii", "replace").decode()
    return text


def render(report: Report) -> Iterator[Line]:
    """The whole report: the table, the stories of what is wrong, what was measured, the verdict."""
    yield Line(
        f"The contract · {report.client.target or 'client'} · profile {report.profile}", "bold"
    )
    yield from _table(report.rows)
    for row in report.rows:
        if row.verdict in {Verdict.FAILED, Verdict.ADVICE, Verdict.HANG, Verdict.CRASH}:
            yield from _story(row)
    yield from _measured(report.measured)
    yield Line()
    yield from _verdict(report)


def _table(rows: Iterable[Row]) -> Iterator[Line]:
    unplayed: list[Row] = []
    for chapter, members in groupby(rows, key=lambda row: row.clause.chapter):
        played: list[Row] = []
        for row in members:
            (played if row.was_run else unplayed).append(row)
        if played:
            yield Line()
            yield Line(f"  {chapter}", "bold")
            for row in played:
                yield _row(row)
    yield from _unplayed(unplayed)


def _row(row: Row) -> Line:
    mark, style = _MARKS[row.verdict]
    name = row.clause.id.partition(".")[2] or row.clause.id
    words = row.clause.title
    if row.verdict is not Verdict.PASSED:
        words = f"{row.verdict.value}: {row.finding.reason}".splitlines()[0]
    text = f"    {mark} {row.clause.level.value:<8}  {name:<22}  {words}"
    return Line(textwrap.shorten(text.strip(), _WIDTH, placeholder=" …") and _cut(text), style)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _unplayed(rows: Iterable[Row]) -> Iterator[Line]:
    for reason, members in groupby(
        sorted(rows, key=lambda row: row.finding.reason), key=lambda row: row.finding.reason
    ):
        ids = [row.clause.id for row in members]
        yield Line()
        yield Line(f"  ? NOT TESTED: {reason} ({len(ids)})", "purple")
        names = textwrap.wrap(", ".join(ids), _WIDTH - 6, break_on_hyphens=False)
        yield from (Line(f"      {line}", "purple") for line in names)


def _story(row: Row) -> Iterator[Line]:
    mark, style = _MARKS[row.verdict]
    clause, finding = row.clause, row.finding
    yield Line()
    yield Line(f"  {mark} {clause.id} ({clause.level.value}): the client {clause.title}", style)
    sources = "; ".join(str(source) for source in clause.sources)
    for label, text in (
        ("found", finding.reason),
        ("source", sources),
        ("story", finding.example),
        ("traffic", "\n".join(finding.exchanges)),
        ("try", finding.curl),
    ):
        yield from _labelled(label, text)


def _labelled(label: str, text: str) -> Iterator[Line]:
    for number, line in enumerate(textwrap.dedent(text).splitlines()):
        shown = label if number == 0 else ""
        yield Line(f"      {shown:<8} {line}", "faint" if label == "traffic" else "")


def _measured(facts: Any) -> Iterator[Line]:
    shown = [text for text in (_fact(name, value) for name, value in facts.items()) if text]
    if shown:
        yield Line()
        yield Line("  Measured: " + " · ".join(shown))


def _fact(name: str, value: Any) -> str:
    if name == "leeway_seconds":
        low, high = value
        return f"leeway {low:g} s" if low == high else f"leeway {low:g} to {high:g} s"
    return f"{name.replace('_', ' ')} {value}"


def _verdict(report: Report) -> Iterator[Line]:
    counts = ", ".join(
        f"{report.count(verdict)} {verdict.value}" for verdict in Verdict if report.count(verdict)
    )
    if report.conforms:
        yield Line(f"  ✓ CONFORMS at level {report.fail_on.value}: {counts}", "green")
    elif report.exit_status == 5:  # noqa: PLR2004 - pytest's "no tests collected"
        yield Line(f"  ? NOTHING WAS TESTED: {counts}", "purple")
    else:
        why = ", ".join(row.clause.id for row in (*report.failures, *report.blocked))
        yield Line(f"  ✗ DOES NOT CONFORM at level {report.fail_on.value}: {counts}", "red")
        for line in textwrap.wrap(why, _WIDTH - 10, break_on_hyphens=False):
            yield Line(f"    because of {line}" if why.startswith(line) else f"      {line}", "red")
    yield from (Line(f"  {text}") for text in _next_steps(report))


def _next_steps(report: Report) -> Iterator[str]:
    if report.failures:
        first = report.failures[0].clause.id
        yield f"  Next: mend {first}, then check it alone with --only {first}"
    elif report.blocked:
        yield "  Next: a clause that was blocked says by what; that comes first"
    elif report.count(Verdict.ADVICE):
        level = Level.PRACTICE.value.lower()
        yield f"  Next: look at the advice; --fail-on {level} makes it binding"
