"""Lines for a terminal, with named styles and without control characters, and how they are cut.

Strings of a run are escaped when a line is printed, by `plain`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from mockbroker.model.escaping import printable
from mockbroker.report.finding import Verdict

__all__ = [
    "LABEL_WIDTH",
    "MARKS",
    "MAX_WIDTH",
    "Line",
    "by_chapter",
    "counted_clauses",
    "encodable",
    "importance",
    "label_column",
    "labelled",
    "plain",
    "width_of",
    "wrap",
]

# Logs of CI servers report no width or a very large one; lines beyond 120 columns are hard to read.
_MIN_WIDTH, MAX_WIDTH = 80, 120
# ✓ and ✗ have a replacement in `_ASCII`; the other marks are ASCII already.
MARKS = {
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
    return max(_MIN_WIDTH, min(columns, MAX_WIDTH))


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most that many columns, if its words allow that."""
    # Not at hyphens: ids such as refresh.not-too-eager must stay whole to be found and copied.
    return textwrap.wrap(text, width, break_on_hyphens=False)


def by_chapter(clauses: Iterable[Clause], left_out: Container[str] = ()) -> Iterator[str]:
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


def importance(clause: Clause) -> str:
    """Return level and impact of a clause, as they stand in parentheses after its id."""
    return f"{clause.level.value}, {clause.impact.value}"


def counted_clauses(count: int) -> str:
    """Return the number with its noun."""
    return "1 clause" if count == 1 else f"{count} clauses"


LABEL_WIDTH = 13


def label_column(label: str) -> str:
    """Return a label as the beginning of a line, `LABEL_WIDTH` columns wide."""
    return f"    {label:<8} "


def labelled(label: str, text: str, width: int = 0, *, style: str = "") -> Iterator[Line]:
    """Yield a label and its text, one line for each line of the text; nothing for an empty text.

    Each line is wrapped to ``width`` columns, unless that is 0.
    """
    lines = textwrap.dedent(text).splitlines()
    if width:
        lines = [part for line in lines for part in wrap(line, max(width - LABEL_WIDTH, 1))]
    for number, line in enumerate(lines):
        yield Line(f"{label_column('' if number else label)}{line}", style)
