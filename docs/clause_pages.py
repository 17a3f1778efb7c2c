"""Writes a page for each clause, from the catalogue and from what is known of it elsewhere.

What each page says comes from one place: the clause and its sources from the catalogue, why it is
there and how a client is mended from the guidance, the story from `clause_stories.json` (which
`python docs/tell_stories.py` writes), the defects from the mutants, the real bugs from
`tests/mutants/real_bugs.toml`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import dedent, wrap
from typing import Any

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause, Level, Source
from tests.mutants.defects import MUTANTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["STORIES", "clause_page", "read_bugs", "read_stories", "write_clause_pages"]

ROOT = Path(__file__).parents[1]
STORIES = Path(__file__).with_name("clause_stories.json")
_WIDTH = 72
_LEVELS = {
    Level.MUST: "A breach fails a run.",
    Level.SHOULD: "A breach is advice; it fails a run under `--fail-on should`.",
    Level.MAY: "A breach is advice; it fails a run under `--fail-on may`.",
    Level.PRACTICE: "No document asks for it, experience does. A breach is advice; it fails a run "
    "under `--fail-on practice`.",
}


def read_stories() -> dict[str, dict[str, Any]]:
    """The story of a breach for each clause, as `tell_stories.py` has written it."""
    stories: dict[str, dict[str, Any]] = json.loads(STORIES.read_text(encoding="utf-8"))
    return stories


def read_bugs() -> dict[str, list[dict[str, str]]]:
    """The publicly reported bugs that each clause catches, by its id."""
    file = ROOT / "tests" / "mutants" / "real_bugs.toml"
    bugs = tomllib.loads(file.read_text(encoding="utf-8")).values()
    caught = sorted((bug for bug in bugs if "clause" in bug), key=lambda bug: str(bug["clause"]))
    return {key: list(found) for key, found in groupby(caught, key=lambda bug: str(bug["clause"]))}


def write_clause_pages(folder: Path) -> None:
    """Write a page for each clause, and an index, into the folder; leave those that are as now."""
    stories, bugs = read_stories(), read_bugs()
    pages = {f"{c.id}.md": clause_page(c, stories.get(c.id), bugs.get(c.id, [])) for c in CATALOGUE}
    pages["index.md"] = _index()
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8", newline="\n")


def clause_page(clause: Clause, story: Mapping[str, Any] | None, bugs: list[dict[str, str]]) -> str:
    """The page of a clause, in Markdown."""
    parts = [_head(clause), _why(clause), _story(story), _mend(clause), _defects(clause)]
    return "\n".join(line for part in [*parts, _bugs(bugs)] for line in part) + "\n"


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


def _story(story: Mapping[str, Any] | None) -> Iterator[str]:
    if story is None:
        return
    yield from ("", "## What a breach looks like", "")
    yield f"As `mockbroker check` tells of a client with this defect: {_words(story['mutant'])}."
    yield from ("", "```text")
    yield from _labelled("found", story["reason"])
    yield from _labelled("story", dedent(story["example"]))
    yield from _labelled("traffic", "\n".join(story["exchanges"]))
    yield "```"


def _labelled(label: str, text: str) -> Iterator[str]:
    """A label, and beside it the lines of a text, each no wider than a page."""
    wrapped = partial(wrap, width=_WIDTH, break_on_hyphens=False, subsequent_indent="    ")
    lines = [part for line in text.splitlines() for part in wrapped(line)]
    yield from (f"{'' if number else label:<8} {line}" for number, line in enumerate(lines))


def _mend(clause: Clause) -> Iterator[str]:
    yield from ("", "## How to mend it", "", clause.fix, "")
    yield f"Then check it alone: `mockbroker check your/client.py --only {clause.id}`."


def _defects(clause: Clause) -> Iterator[str]:
    defects = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
    if defects:
        yield from ("", "## Defects that it catches", "")
        yield "Clients with one defect each, by which this clause is [proved](../kill-matrix.md):"
        yield ""
        yield from (f"- {_words(name)}" for name in defects)


def _words(name: str) -> str:
    """A mutant's name as words: AsksByGet becomes “asks by get”."""
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
        "from a cited sentence; `PRACTICE` is what experience asks and no document does.",
    ]
    for chapter, members in groupby(CATALOGUE, key=lambda clause: clause.chapter):
        rows = [f"| [`{c.id}`]({c.id}.md) | {c.level.value} | {c.title} |" for c in members]
        lines += ["", f"## {chapter}", "", "| clause | level | a client … |", "|-|-|-|", *rows]
    lines += ["", "```{toctree}", ":hidden:", "", *(clause.id for clause in CATALOGUE), "```"]
    return "\n".join(lines) + "\n"
