"""Choose the tests that the coverage run leaves out, from what the recorder has recorded.

`tox -e choose-unmeasured` records the tests and runs this. It writes tests/unmeasured.txt.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tokenize
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import click
import coverage

from tests.covering.choice import Recorded, left_out, listed
from tests.covering.recorder import COSTS

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "unmeasured.txt"
CHEAP_SECONDS = 0.1
"""What costs less is measured anyway. So the newest Python runs most of the tests, too."""
SECONDS_FOR_A_SPOT = 0.6
"""What a test may cost for each line or branch of the kit or the plugin that it adds. Each of the
broker's is reached at any cost."""
SECONDS_FOR_A_SECOND_TIME = 0.1
"""What it may cost for each line or branch of the broker that it reaches as the second one."""

HEADING = """\
# Tests that the coverage run leaves out, because others reach what they reach, or at less cost.
# `tox -e choose-unmeasured` writes this file. A line names a test, or one of its cases. A test that
# is not named is measured: a new one needs no line.
"""
QUERY = """
    SELECT context.context, file.path, arc.fromno, arc.tono
    FROM arc JOIN context ON context.id = arc.context_id JOIN file ON file.id = arc.file_id
"""

BETWEEN_STATEMENTS = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT}

Spot = tuple[str, int, int]
"""A line of a file, or a branch from one line of it to another; 0 stands before a line."""


class Statements:
    """The statements of files. Some have several lines, and are entered at any of them."""

    def __init__(self) -> None:
        self._first_lines: dict[str, dict[int, int]] = {}

    def spots(self, path: str, start: int, end: int) -> list[Spot]:
        """Return what a step from one line to another reaches. A negative line is an exit."""
        if path not in self._first_lines:
            self._first_lines[path] = first_lines(Path(path))
        start, end = (self._first_lines[path].get(line, line) for line in (start, end))
        return [] if start == end else [(path, 0, end), (path, start, end)]


def first_lines(path: Path) -> dict[int, int]:
    """Return the first line of the statement to which each line belongs."""
    firsts: dict[int, int] = {}
    first = 0
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type in BETWEEN_STATEMENTS:
                continue
            first = first or token.start[0]
            if token.type == tokenize.NEWLINE:
                firsts |= dict.fromkeys(range(first, token.end[0] + 1), first)
                first = 0
    return firsts


def recorded(measured: coverage.Coverage) -> tuple[dict[str, int], int]:
    """Return the bits of what each test reaches, and the bits that belong to the broker.

    Not by the interface of CoverageData, which asks for one test and one file at a time.
    """
    statements = Statements()
    numbers: dict[Spot, int] = {}
    reached: defaultdict[str, int] = defaultdict(int)
    with closing(sqlite3.connect(measured.get_data().data_filename())) as database:
        for test, path, start, end in database.execute(QUERY):
            for spot in statements.spots(path, start, end):
                reached[test] |= 1 << numbers.setdefault(spot, len(numbers))
    broker = ROOT / "mockbroker"
    of_broker = [n for (path, _, _), n in numbers.items() if Path(path).is_relative_to(broker)]
    return reached, sum(1 << n for n in of_broker)


def main() -> None:
    """Write the list, and print what it saves."""
    measured = coverage.Coverage()
    measured.load()
    reached, of_broker = recorded(measured)
    with Path(os.environ["COVERAGE_FILE"]).with_name(COSTS).open() as lines:
        costs = {cost["test"]: cost["seconds"] for cost in map(json.loads, lines)}
    tests = {name: Recorded(reached.get(name, 0), cost) for name, cost in costs.items()}
    # What importing reaches, whichever test runs.
    tests[""] = Recorded(reached.get("", 0), 0)
    cheap = [name for name, test in tests.items() if test.seconds < CHEAP_SECONDS]
    out = left_out(
        tests,
        cheap,
        needed=of_broker,
        price=SECONDS_FOR_A_SPOT,
        second_price=SECONDS_FOR_A_SECOND_TIME,
    )
    LIST.write_text(HEADING + "".join(f"{line}\n" for line in listed(out, tests)), encoding="utf-8")
    everything, saved = (sum(tests[name].seconds for name in names) for names in (tests, out))
    click.echo(f"{len(out)} of {len(costs)} tests left out")
    click.echo(f"{saved:.0f} of {everything:.0f} processor seconds saved")


if __name__ == "__main__":
    main()
