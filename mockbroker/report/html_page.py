"""Reports as one self-contained HTML page.

It needs no network and no script: CI servers keep it as an artifact, and show it in a sandbox.

The page is made from the document, not from the report. Therefore `mockbroker compare` makes the
same page from files of other machines. The template draws; the positions of exchanges and bars are
computed here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mockbroker.contract.clause import Level
from mockbroker.model.exchange import Endpoint
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.model.exchange_text import answer_text, request_text
from mockbroker.report.document import ClauseRow, ReportDocument
from mockbroker.report.finding import Verdict
from mockbroker.report.gravity import Gravity, gravity_of
from mockbroker.report.groups import last_place
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.terminal_lines import MARKS
from mockbroker.report.timeline import Timeline, TokenLife, timeline_of
from mockbroker.report.wording import (
    changed_answers,
    counted_exchanges,
    diagnosis_text,
    exchange_lines,
    place_text,
    reason_text,
    step_lines,
)

__all__ = ["html_of"]

# Not every reader can distinguish the colours, so each verdict has a symbol as well. Letters and
# two signs that fonts commonly have: with others, some readers see empty boxes.
_SYMBOLS = {verdict.value: mark for verdict, (mark, _) in MARKS.items()}
_LINE, _ARROW, _GAP = 16, 10, 14
"""The heights of a line of text, of an arrow, and between exchanges in a diagram, in pixels."""
_COLUMNS = 44
"""How many characters of a line of a diagram fit on a screen 400 pixels wide."""
# The template repeats some of these numbers: a change here needs a change there.
_BAR_ROW, _MAX_BARS = 40, 12
_OTHER_LEEWAY = "leeway_at_once_seconds"
"""A second measurement of the leeway, which the page leaves out."""
# The rest is folded: a report of a sound client would otherwise be seventy open sections.
_OPEN_VERDICTS = ("error", "failed", "advice", "hang", "crash", "known", "stale")
"""The verdicts whose details the page shows unfolded."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """The verdict on a clause for one client."""

    verdict: str
    symbol: str
    reason: str
    anchor: str


@dataclass(frozen=True, slots=True)
class _TextLine:
    """A line of text in a diagram, and its baseline in pixels from the top."""

    text: str
    y: int
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class _Message:
    """An exchange in a sequence diagram: its lines of text, and the heights of its two arrows."""

    exchange: ExchangeRecord
    y: int
    request: tuple[_TextLine, ...]
    asked_y: int
    answer: tuple[_TextLine, ...]
    answered_y: int
    notes: tuple[_TextLine, ...]

    @property
    def is_api_call(self) -> bool:
        """Whether the request went to the API instead of the token endpoint."""
        return self.exchange.endpoint is not Endpoint.TOKEN

    @property
    def is_refused(self) -> bool:
        """Whether the response is an error or missing."""
        return _is_refused(self.exchange)


def _is_refused(record: ExchangeRecord) -> bool:
    """Return whether the response is an error or missing."""
    return record.status is None or record.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class _Bar:
    """The lifetime of a token as a bar: its label, and its place.

    ``x``, ``width`` and the marks are in per cent of the diagram's width, ``y`` in pixels.
    ``goes_on`` if the token outlives the diagram. A mark is a use: its x, whether it was late, and
    the token's state.
    """

    label: str
    life: TokenLife
    y: int
    x: float
    width: float
    goes_on: bool
    marks: tuple[tuple[float, bool, str], ...]


@dataclass(frozen=True, slots=True)
class _Detail:
    """The details of a report on one clause."""

    anchor: str
    clause: ClauseRow
    symbol: str
    is_open: bool
    reason: str
    likely: str
    place: str
    also_broken: tuple[str, ...]
    blocked: tuple[str, ...]
    steps: tuple[str, ...]
    messages: tuple[_Message, ...]
    traffic: str
    height: int
    bars: tuple[_Bar, ...]
    hidden_bars: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Client:
    """One report, prepared for the template."""

    number: int
    report: ReportDocument
    title: str
    counts: tuple[tuple[str, str, int], ...]
    facts: tuple[tuple[str, str], ...]
    details: tuple[_Detail, ...]
    provenance: tuple[tuple[str, str], ...]

    @property
    def sections(self) -> tuple[tuple[str, tuple[_Detail, ...]], ...]:
        """The clauses with a problem, and the others, each with a title."""
        # Sorting is stable: what is equally grave has the order of the catalogue.
        fail_on = self.report.options.fail_on
        problems = tuple(
            sorted((d for d in self.details if d.is_open), key=partial(_gravity, fail_on))
        )
        others = tuple(detail for detail in self.details if not detail.is_open)
        titles = ("Not as it should be", "The others" if problems else "Every clause")
        return tuple(pair for pair in zip(titles, (problems, others), strict=True) if pair[1])


def _gravity(fail_on: Level, detail: _Detail) -> tuple[bool, Gravity]:
    """Return the sort key of a problem: the gravest of those that fail the run first."""
    clause = detail.clause
    is_mild = clause.verdict in {Verdict.ADVICE, Verdict.KNOWN}
    return is_mild, gravity_of(clause.id, clause.level, clause.impact, fail_on)


def html_of(reports: Sequence[ReportDocument], names: Sequence[str] = ()) -> str:
    """Return a page with the reports on one client or several.

    All must have the same clauses in the same order, as `mockbroker compare` makes sure. ``names``
    has a name for each report; without it the clients' own names are shown.
    """
    clients = tuple(
        _client(number, report, name)
        for number, report, name in zip(
            range(1, len(reports) + 1), reports, names or [""] * len(reports), strict=True
        )
    )
    environment = Environment(
        loader=PackageLoader("mockbroker.report"),
        # Every string of a report comes from a client, so none may be taken for HTML.
        autoescape=True,
        # A misspelt name in the template is an error in a test, not an empty place on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.jinja")
    return template.render(
        clients=clients,
        chapters=_chapters(clients),
        facts=_facts_of_all(clients),
        symbols=_SYMBOLS,
        shown=[v for v in _SYMBOLS if any(v == each for c in clients for each, *_ in c.counts)],
    )


def _client(number: int, report: ReportDocument, named: str) -> _Client:
    """Return one report as the template shows it.

    ``number`` counts from 1. It is part of each anchor, so that the anchors of several clients
    differ on one page.
    """
    described = report.client
    verdicts = [row.verdict.value for row in report.clauses]
    counts = [(v, symbol, verdicts.count(v)) for v, symbol in _SYMBOLS.items() if v in verdicts]
    # A client need not introduce itself, and a column needs a heading.
    name = described.name or described.target or f"client {number}"
    return _Client(
        number=number,
        report=report,
        title=named or f"{name} {described.version}".strip(),
        counts=tuple(counts),
        facts=tuple(_fact(n, v) for n, v in report.measured.items() if n != _OTHER_LEEWAY),
        details=tuple(_detail(number, row, report.clauses) for row in report.clauses),
        provenance=provenance_of(report),
    )


def _fact(name: str, value: Any) -> tuple[str, str]:
    """Return a measured value as its name in words and its value with unit.

    A range is a list of two ends.
    """
    words, unit = name.removesuffix("_seconds"), " s" if name.endswith("_seconds") else ""
    ends = value if isinstance(value, list) else [value]
    # Equal ends of a range are shown once.
    numbers = dict.fromkeys(f"{end:g}" if isinstance(end, float) else str(end) for end in ends)
    return words.replace("_", " "), f"{' to '.join(numbers)}{unit}"


def _chapters(
    clients: Sequence[_Client],
) -> list[tuple[str, list[tuple[ClauseRow, list[_Cell]]]]]:
    """Return the chapters with their clauses, each with the cells of all clients.

    The row shown for a clause is that of the first client. The template uses only its id, level and
    title.
    """
    rows = [
        (columns[0].clause, [_cell(detail) for detail in columns])
        # Strict: `compare` has rejected reports with different clauses.
        for columns in zip(*(client.details for client in clients), strict=True)
    ]
    by_chapter = groupby(rows, key=lambda row: row[0].id.partition(".")[0])
    return [(chapter, list(members)) for chapter, members in by_chapter]


def _cell(detail: _Detail) -> _Cell:
    """Return the cell of a table; its anchor leads to the details."""
    return _Cell(detail.clause.verdict.value, detail.symbol, detail.reason, detail.anchor)


def _facts_of_all(clients: Sequence[_Client]) -> list[tuple[str, list[str]]]:
    """Return each measured fact with a value for each client.

    A client for which it was not measured has an empty string. The facts have the order in which
    the clients first name them.
    """
    # Clients may have different facts: an audit measures other things than a check.
    names = dict.fromkeys(name for client in clients for name, _ in client.facts)
    return [(name, [dict(client.facts).get(name, "") for client in clients]) for name in names]


def _detail(number: int, row: ClauseRow, rows: Sequence[ClauseRow]) -> _Detail:
    """Return the details of a clause, with the positions of its diagrams.

    ``rows`` are those of all clauses, among which it finds what has the same cause.
    """
    messages, height = _placed(row)
    also_broken = tuple(each.id for each in rows if each.same_cause_as == row.id)
    # A clause that has the same cause as another one shows nothing that it blocks.
    causes = set() if row.same_cause_as else {row.id, *also_broken}
    blocked = tuple(each.id for each in rows if each.blocked_by in causes and each is not row)
    timeline = timeline_of(row.steps)
    # If the broker's clock stood still, every time is zero and says nothing.
    has_times = any(exchange.at_seconds for exchange in row.exchanges)
    return _Detail(
        anchor=f"c{number}-{row.id}",
        clause=row,
        symbol=_SYMBOLS[row.verdict.value],
        # One open section for each cause; a cause without a verdict has one as well.
        is_open=(row.verdict.value in _OPEN_VERDICTS and row.same_cause_as is None)
        or (row.verdict is Verdict.NOT_TESTED and bool(blocked)),
        reason=reason_text(row.reason, row.blocked_by),
        likely=diagnosis_text(row.diagnosis),
        place=place_text(last_place(row.steps)),
        also_broken=also_broken,
        blocked=blocked,
        steps=tuple(step_lines(row.steps)),
        messages=messages,
        traffic="\n".join(exchange_lines(row.exchanges, with_times=has_times)),
        height=height,
        bars=_bars(timeline),
        hidden_bars=max(len(timeline.lives) - _MAX_BARS, 0),
        seconds=timeline.seconds,
    )


def _placed(row: ClauseRow) -> tuple[tuple[_Message, ...], int]:
    """Return the exchanges with their vertical positions, and the height of the diagram.

    Exchanges that repeat the ones before them are drawn once, with a note. Each has as many lines
    as its text needs, so the positions depend on everything above.
    """
    changes = changed_answers(row.steps, row.exchanges)
    # Below the names of client and broker, which the template draws at the top.
    y, messages = 40, []
    for record, repetition in counted_exchanges(row.exchanges):
        message, y = _message(record, changes.get(record.number, ""), repetition, y)
        messages.append(message)
    return tuple(messages), y


def _message(
    record: ExchangeRecord, change: str, repetition: str, top: int
) -> tuple[_Message, int]:
    """Return an exchange placed below ``top``, and where the next one begins.

    ``change`` says which members of the answer the test case changed, ``repetition`` how often
    the exchange came again.
    """
    fault = f" [fault: {record.fault}]" if record.fault else ""
    answer = ", ".join(filter(None, (f"{answer_text(record)}{fault}", change)))
    request, asked_y = _lines(request_text(record), top + _LINE)
    answers, answered_y = _lines(answer, asked_y + _ARROW, is_bad=_is_refused(record))
    texts = [f"✗ {breach.clause_id}: {breach.what}" for breach in record.breaches]
    notes: list[_TextLine] = []
    y = answered_y + _ARROW
    for text, is_bad in (*((text, True) for text in texts), (repetition, False)):
        lines, y = _lines(text, y, is_bad=is_bad)
        notes += lines
    placed = _Message(record, top, request, asked_y, answers, answered_y, tuple(notes))
    return placed, y + _GAP


def _lines(text: str, top: int, *, is_bad: bool = False) -> tuple[tuple[_TextLine, ...], int]:
    """Return the text as lines below ``top``, and the height below them."""
    lines = textwrap.wrap(text, _COLUMNS)
    placed = (
        _TextLine(line, top + _LINE * (number + 1) - 4, is_bad) for number, line in enumerate(lines)
    )
    return tuple(placed), top + _LINE * len(lines)


def _bars(timeline: Timeline) -> tuple[_Bar, ...]:
    """Return the lifetimes of the tokens as bars; empty if no time passes in the timeline."""
    # Without any time the bars have no scale.
    if not timeline.seconds:
        return ()
    # Per cent of the width. Not all of it, so that a mark at either end is not cut.
    scale = 94 / timeline.seconds

    def bar(number: int, life: TokenLife) -> _Bar:
        """Return the bar in row ``number``, counted from 0 at the top."""
        x, width = 2 + life.issued_at_seconds * scale, life.expires_in * scale
        room = 100 - x
        return _Bar(
            label=f"token #{life.token}",
            life=life,
            y=number * _BAR_ROW,
            x=round(x, 1),
            # A token of a month would otherwise be drawn far beyond the page.
            width=round(min(width, room), 2),
            goes_on=width > room,
            marks=tuple(
                (round(2 + use.at_seconds * scale, 1), use.is_late, use.state) for use in life.uses
            ),
        )

    return tuple(bar(number, life) for number, life in enumerate(timeline.lives[:_MAX_BARS]))
