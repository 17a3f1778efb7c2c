"""Reports as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from mockbroker.report.exchange_texts import Message, Timeline, TokenLife, message_in, timeline_of
from mockbroker.report.report import Conclusion

__all__ = ["conclusion_of", "html_of"]

_SYMBOLS = {
    "passed": "✓",
    "failed": "✗",
    "advice": "!",
    "not-applicable": "-",
    "not-tested": "?",
    "known": "k",
    "stale": "s",
    "hang": "⧗",
    "crash": "☇",
    "error": "‼",
}
_ROW = 46
"""Pixels that an exchange takes in a sequence diagram."""
_NOTE = 16
_BAR_WIDTH, _BAR_ROW = 520, 26
_KNOWN = {clause.id: clause for clause in CATALOGUE}
_AGAIN = "leeway_at_once_seconds"
"""The leeway, measured in another way."""
_TELLING = ("error", "failed", "advice", "hang", "crash", "known", "stale")


@dataclass(frozen=True, slots=True)
class _Cell:
    """The verdict on a clause for one client."""

    verdict: str
    symbol: str
    reason: str
    anchor: str


@dataclass(frozen=True, slots=True)
class _Step:
    """A message in a sequence diagram, and where it is drawn."""

    message: Message
    y: int


@dataclass(frozen=True, slots=True)
class _Bar:
    """A token's life as a bar: pixels, and the words for it."""

    life: TokenLife
    y: int
    x: float
    width: float
    goes_on: bool
    marks: tuple[tuple[float, bool, str], ...]


@dataclass(frozen=True, slots=True)
class _Detail:
    """What a report says of one clause."""

    anchor: str
    clause: Mapping[str, Any]
    symbol: str
    guidance: Clause | None
    is_open: bool
    story: tuple[str, ...]
    steps: tuple[_Step, ...]
    height: int
    bars: tuple[_Bar, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Client:
    """One report, ready to be shown."""

    number: int
    report: Mapping[str, Any]
    title: str
    conclusion: str
    is_good: bool
    is_partial: bool
    errors: tuple[Mapping[str, str], ...]
    counts: tuple[tuple[str, str, int], ...]
    facts: tuple[tuple[str, str], ...]
    details: tuple[_Detail, ...]

    @property
    def sections(self) -> tuple[tuple[str, tuple[_Detail, ...]], ...]:
        """The clauses that something is to be told of, and the others."""
        telling = tuple(sorted((d for d in self.details if d.is_open), key=_is_mild))
        others = tuple(detail for detail in self.details if not detail.is_open)
        titles = ("Not as it should be", "The others" if telling else "Every clause")
        return tuple(pair for pair in zip(titles, (telling, others), strict=True) if pair[1])


def _is_mild(detail: _Detail) -> bool:
    return detail.clause["verdict"] in {"advice", "known"}


def conclusion_of(report: Mapping[str, Any]) -> str:
    """What a report, by schema 1, comes to, in words; older ones only say whether it conforms."""
    usual = Conclusion.CONFORMS if report["conforms"] else Conclusion.FAILED
    return str(report.get("conclusion", usual.value))


def _is_good(report: Mapping[str, Any]) -> bool:
    known = [each for each in Conclusion if each.value == conclusion_of(report)]
    return any(each.is_good for each in known)


def html_of(reports: Sequence[Mapping[str, Any]]) -> str:
    """A page with what these reports, by schema 1, say of one client or several."""
    clients = tuple(_client(number, report) for number, report in enumerate(reports, 1))
    environment = Environment(
        loader=PackageLoader("mockbroker.report"),
        autoescape=True,
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
        bar_width=_BAR_WIDTH,
    )


def _client(number: int, report: Mapping[str, Any]) -> _Client:
    described = report["client"]
    verdicts = [row["verdict"] for row in report["clauses"]]
    counts = [(v, symbol, verdicts.count(v)) for v, symbol in _SYMBOLS.items() if v in verdicts]
    name = described["name"] or described["target"] or f"client {number}"
    return _Client(
        number=number,
        report=report,
        title=f"{name} {described['version']}".strip(),
        conclusion=conclusion_of(report),
        is_good=_is_good(report),
        is_partial=report.get("partial") is True,
        errors=tuple(report.get("errors", ())),
        counts=tuple(counts),
        facts=tuple(_fact(n, v) for n, v in report["measured"].items() if n != _AGAIN),
        details=tuple(_detail(number, row) for row in report["clauses"]),
    )


def _fact(name: str, value: Any) -> tuple[str, str]:
    words, unit = name.removesuffix("_seconds"), " s" if name.endswith("_seconds") else ""
    ends = value if isinstance(value, list) else [value]
    numbers = dict.fromkeys(f"{end:g}" if isinstance(end, float) else str(end) for end in ends)
    return words.replace("_", " "), f"{' to '.join(numbers)}{unit}"


def _chapters(
    clients: Sequence[_Client],
) -> list[tuple[str, list[tuple[Mapping[str, Any], list[_Cell]]]]]:
    """For each chapter its clauses, each with the cells of all clients."""
    rows = [
        (columns[0].clause, [_cell(detail) for detail in columns])
        for columns in zip(*(client.details for client in clients), strict=True)
    ]
    by_chapter = groupby(rows, key=lambda row: str(row[0]["id"]).partition(".")[0])
    return [(chapter, list(members)) for chapter, members in by_chapter]


def _cell(detail: _Detail) -> _Cell:
    verdict, reason = detail.clause["verdict"], detail.clause["reason"]
    return _Cell(verdict, detail.symbol, reason, detail.anchor)


def _facts_of_all(clients: Sequence[_Client]) -> list[tuple[str, list[str]]]:
    names = dict.fromkeys(name for client in clients for name, _ in client.facts)
    return [(name, [dict(client.facts).get(name, "") for client in clients]) for name in names]


def _detail(number: int, row: Mapping[str, Any]) -> _Detail:
    story = tuple(line.strip() for line in row["example"].splitlines())
    messages = [message_in(text) for text in row["exchanges"]]
    read = [message for message in messages if message is not None]
    steps, height = _placed(read) if len(read) == len(messages) else ((), 0)
    timeline = timeline_of(story)
    return _Detail(
        anchor=f"c{number}-{row['id']}",
        clause=row,
        symbol=_SYMBOLS.get(row["verdict"], "·"),
        guidance=_KNOWN.get(row["id"]),
        is_open=row["verdict"] in _TELLING,
        story=story,
        steps=steps,
        height=height,
        bars=_bars(timeline),
        seconds=timeline.ends_at,
    )


def _placed(messages: Iterable[Message]) -> tuple[tuple[_Step, ...], int]:
    """Messages below one another, and the height that they take."""
    y, steps = 44, []
    for message in messages:
        steps.append(_Step(message, y))
        y += _ROW + _NOTE * len(message.notes)
    return tuple(steps), y


def _bars(timeline: Timeline) -> tuple[_Bar, ...]:
    """The lives of tokens to the scale of the story; empty if no time passes in it."""
    if not timeline.ends_at:
        return ()
    scale = _BAR_WIDTH / (timeline.ends_at * 1.05)

    def bar(number: int, life: TokenLife) -> _Bar:
        x, width = life.issued_at * scale, life.expires_in * scale
        room = _BAR_WIDTH - x
        return _Bar(
            life=life,
            y=number * _BAR_ROW,
            x=round(x, 1),
            width=round(min(width, room), 1),
            goes_on=width > room,
            marks=tuple((round(use.at * scale, 1), use.is_late, use.state) for use in life.uses),
        )

    return tuple(bar(number, life) for number, life in enumerate(timeline.lives))
