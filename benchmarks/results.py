"""Results of measurements as values, and the files in which they are stored."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Union

import msgspec

from evidence.files import CHECKOUT, write_json

__all__ = [
    "RESULTS",
    "Cell",
    "Machine",
    "MeasureSettings",
    "Result",
    "Table",
    "measured_now",
    "read_result",
    "write_result",
]

RESULTS = CHECKOUT / "benchmarks" / "results"

Cell = Union[str, int, float]


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """What a measurement may be given.

    ``npm`` is the folder in which the peers for Node.js were installed. ``sample`` is how many
    mutants are checked; 0 means all of them.
    """

    npm: Path
    sample: int


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows. The unit of a number stands in its column's title or its row's first cell.

    A number is a median, unless its column or the text of the page says otherwise.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [self.columns, ("-",) * len(self.columns), *(map(_shown, r) for r in self.rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shown(cell: Cell) -> str:
    """Return a number with three digits that count, and a string as it is."""
    if isinstance(cell, str):
        return cell
    magnitude = abs(cell)
    digits = 0 if isinstance(cell, int) or magnitude >= 100 else 1 if magnitude >= 10 else 2  # noqa: PLR2004
    return f"{cell:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured."""

    system: str
    processors: int
    python: str

    @classmethod
    def here(cls) -> Machine:
        """Return this machine."""
        return cls(
            f"{platform.system()} {platform.machine()}",
            os.cpu_count() or 1,
            f"{platform.python_implementation()} {platform.python_version()}",
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The tables of one part, with what was measured, where, and when.

    ``version`` is that of mockbroker. ``peers`` has the versions of what it is compared with or
    built on, by name.
    """

    part: str
    version: str
    date: str
    machine: Machine
    peers: dict[str, str]
    tables: tuple[Table, ...]


def measured_now(part: str, peers: dict[str, str], tables: Sequence[Table]) -> Result:
    """Return the result of a measurement that has just ended on this machine."""
    today = datetime.now(tz=timezone.utc).date().isoformat()
    return Result(part, version("mockbroker"), today, Machine.here(), peers, tuple(tables))


def read_result(part: str) -> Result | None:
    """Return the stored result of a part, or None if it was never measured."""
    file = RESULTS / f"{part}.json"
    return msgspec.json.decode(file.read_bytes(), type=Result) if file.is_file() else None


def write_result(result: Result) -> None:
    """Store a result in the place of the earlier one of that part."""
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{result.part}.json", result)
