"""The page docs/benchmarks.md, made from the stored results."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from benchmarks.parts import PARTS, Part
from benchmarks.results import Result, read_result
from evidence.files import DOCS

__all__ = ["PAGE", "page"]

PAGE = DOCS / "benchmarks.md"
WIDTH = 100

_BEGINNING = """# Figures

`tox -e bench` repeats these measurements, with all that they are compared with, and writes this
page. Machines differ and are noisy. Therefore every figure is a median unless the text says
otherwise, and the compared figures come from one run. The ratios say more than the milliseconds.
Columns named "at most" or "at least" have the project's own targets.
"""
_END = """## Whether verdicts are stable

`tox -e steadiness` checks the model client and five clients whose defects depend on time or on
threads, each 20 times. It checks them in order, in random order, in four processes, and while other
processes keep every processor busy. No verdict differed in the 120 runs, which took an hour on a
machine that was busy with other work. One measurement did: of the client without a lock, 64 uses at
once led to 5 to 60 token requests.
"""


def page() -> str:
    """Return the page, in Markdown. A part that was never measured says so."""
    return "\n".join([_BEGINNING, *(_section(part) for part in PARTS.values()), _END])


def _section(part: Part) -> str:
    result = read_result(part.name)
    return "\n\n".join([f"## {part.title}", *_body(part, result)]) + "\n"


def _body(part: Part, result: Result | None) -> Iterator[str]:
    yield _wrapped(f"`{part.command}`: {part.before}")
    if result is None:
        yield "Not measured yet."
        return
    yield part.text_of(result)
    if part.after:
        yield _wrapped(part.after)
    yield _wrapped(_measured(result))


def _measured(result: Result) -> str:
    """Return the sentence that says what was measured, where and when."""
    machine = result.machine
    peers = "".join(f", {name} {number}" for name, number in result.peers.items())
    return (
        f"Measured on {result.date} with mockbroker {result.version}{peers}; {machine.python}, "
        f"{machine.system}, {machine.processors} processors."
    )


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))
