"""The page of each clause and their index, in docs/clauses; `python -m evidence` writes them.

The clause comes from the catalogue, the reproduction from `reproductions.json`, the defects from
the mutants, and the real bugs from `tests/mutants/real_bugs.toml`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from evidence.files import CHECKOUT, write_text
from evidence.pages.reproductions import Reproduction, read_reproductions
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause, Level, Source
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.wording import diagnosis_text, exchange_lines, step_lines
from tests.mutants.defects import MUTANTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["clause_page", "read_bugs", "write_clause_pages"]

_WIDTH = 72
_LEVELS = {
    Level.MUST: "A breach fails a run.",
    Level.SHOULD: "A breach is advice; it fails a run under `--fail-on should`.",
    Level.MAY: "A breach is advice; it fails a run under `--fail-on may`.",
    Level.PRACTICE: "It comes from experience; no document asks for it. A breach is advice; it "
    "fails a run under `--fail-on practice`.",
}


def read_bugs() -> dict[str, list[dict[str, str]]]:
    """Return the publicly reported bugs that each clause finds, by its id."""
    file = CHECKOUT / "tests" / "mutants" / "real_bugs.toml"
    bugs = tomllib.loads(file.read_text(encoding="utf-8")).values()
    caught = sorted((bug for bug in bugs if "clause" in bug), key=lambda bug: str(bug["clause"]))
    return {key: list(found) for key, found in groupby(caught, key=lambda bug: str(bug["clause"]))}


def write_clause_pages(folder: Path) -> None:
    """Write a page for each clause, and an index, into the folder; leave unchanged pages alone."""
    reproductions, bugs = read_reproductions(), read_bugs()
    pages = {
        f"{c.id}.md": clause_page(c, reproductions.get(c.id), bugs.get(c.id, [])) for c in CATALOGUE
    }
    pages["index.md"] = _index()
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        write_text(folder / name, text)


def clause_page(
    clause: Clause, reproduction: Reproduction | None, bugs: list[dict[str, str]]
) -> str:
    """Return the page of a clause, in Markdown."""
    # In the terms of the default profile, as a report without another one.
    clause = clause.for_profile(AUTOGRAB)
    parts = [_head(clause), _why(clause), _reproduction(reproduction), _fix(clause)]
    parts += [_defects(clause), _bugs(bugs)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(clause: Clause) -> Iterator[str]:
    yield f"# {clause.id}"
    yield ""
    yield f"**{clause.level.value}** · a client {clause.title}."
    yield ""
    yield f"{_LEVELS[clause.level]} {_seen_in_traffic(clause)}"
    if clause.sources:
        yield ""
        yield f"Source: {'; '.join(_linked(source) for source in clause.sources)}."


def _seen_in_traffic(clause: Clause) -> str:
    if clause.is_passive:
        return "Traffic alone can show it, so `audit` and `assert_conforms()` judge it as well."
    return "Only a scenario can show it: `check` judges it, `audit` does not."


def _linked(source: Source) -> str:
    return f"[{source}]({source.url})" if source.url else str(source)


def _why(clause: Clause) -> Iterator[str]:
    yield from ("", "## Why", "", clause.why)


def _reproduction(found: Reproduction | None) -> Iterator[str]:
    if found is None:
        return
    yield from ("", "## What a breach looks like", "")
    yield f"`mockbroker check` reports of a client with the defect {_words(found.mutant)}:"
    yield from ("", "```text")
    yield from _labelled("found", found.reason.splitlines())
    yield from _labelled("likely", diagnosis_text(found.diagnosis).splitlines())
    yield from _labelled("steps", step_lines(found.steps))
    yield from _labelled("traffic", exchange_lines(found.exchanges, with_times=False))
    yield "```"


def _labelled(label: str, texts: Iterable[str]) -> Iterator[str]:
    """Yield a label, followed by the lines of the strings, wrapped to the width of a page."""
    wrapped = partial(wrap, width=_WIDTH, break_on_hyphens=False, subsequent_indent="    ")
    lines = [part for text in texts for line in text.splitlines() for part in wrapped(line)]
    yield from (f"{'' if number else label:<8} {line}" for number, line in enumerate(lines))


def _fix(clause: Clause) -> Iterator[str]:
    yield from ("", "## How to fix it", "", clause.fix, "")
    yield f"Then check that clause: `mockbroker check your/client.py --only {clause.id}`."


def _defects(clause: Clause) -> Iterator[str]:
    defects = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
    if defects:
        yield from ("", "## Defects that it catches", "")
        yield "Clients with one defect each, by which this clause is [proved](../kill-matrix.md):"
        yield ""
        yield from (f"- {_words(name)}" for name in defects)


def _words(name: str) -> str:
    """Return the name of a mutant as words: AsksByGet becomes “asks by get”."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return f"“{spaced.strip()}”"


def _bugs(bugs: list[dict[str, str]]) -> Iterator[str]:
    if bugs:
        yield from ("", "## Real bugs that it would have caught", "")
        yield from (f"- {bug['library']}: {bug['bug']} ([report]({bug['report']}))" for bug in bugs)


def _index() -> str:
    lines = [
        "# The clauses",
        "",
        f"A sound token client keeps {len(CATALOGUE)} clauses. `MUST`, `SHOULD` and `MAY` come",
        "from a cited sentence; `PRACTICE` comes from experience, and no document asks for it.",
    ]
    for chapter, members in groupby(CATALOGUE, key=lambda clause: clause.chapter):
        rows = [f"| [`{c.id}`]({c.id}.md) | {c.level.value} | {c.title} |" for c in members]
        lines += ["", f"## {chapter}", "", "| clause | level | a client … |", "|-|-|-|", *rows]
    lines += ["", "<!-- {toctree}", ":hidden:", "", *(clause.id for clause in CATALOGUE), "-->"]
    return "\n".join(lines) + "\n"
