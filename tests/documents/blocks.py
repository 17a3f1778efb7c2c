"""The blocks of a page, each with what is to be done with it. Pure: no file is read or written.

An HTML comment directly above a block says what its language does not. CONTRIBUTING.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Block", "HiddenFile", "Item", "PageError", "Place", "Plan", "items_of", "plan_of"]

NOTES = {
    "run": "'server' or 'commands'",
    "not run": "the reason",
    "save as": "the name of a file",
    "then": "a command",
    "only": "clauses",
    "exit status": "a number",
    "shows": "words of the output",
    "output": "",
    "from": "the name of a file",
}
"""What a comment above a block can say, and what stands after its colon."""
_KNOWN = ", ".join(f"{name}: {what}" for name, what in NOTES.items())
LABELS = {"test command", "check command"}
"""Comments by which other programs find a block."""
PLACES = {"project", "clone", "examples"}
SHELL = {"sh", "bash"}
PARSED = {"toml", "ini", "json", "yaml"}


class PageError(Exception):
    """A comment that says nothing, or a block that would be skipped silently."""


class Plan(Enum):
    """What is done with a block."""

    NOT_RUN = "not run"
    SAVE = "save"
    OUTPUT = "output"
    SERVER = "server"
    COMMANDS = "commands"
    SHELL = "shell"
    SCRIPT = "script"
    TESTS = "tests"
    PARSE = "parse"


RUN = {"server": Plan.SERVER, "commands": Plan.COMMANDS}
"""The ways to run a block that a comment can name."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line where it begins, and its notes."""

    language: str
    text: str
    line: int
    notes: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> list[str]:
        """Return the values of all notes of that name."""
        return [value for each, value in self.notes if each == name]

    def value(self, name: str) -> str | None:
        """Return the value of the first note of that name, or None without one."""
        return next(iter(self.values(name)), None)


@dataclass(frozen=True)
class HiddenFile:
    """A file that the page expects its reader to have. It stands in a comment."""

    name: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where the blocks below are run: one of `PLACES`."""

    name: str


Item = Block | HiddenFile | Place


def items_of(markdown: str) -> list[Item]:
    """Return the blocks, hidden files and places of a page, in their order.

    Raises PageError for an unknown comment, and for one that does not stand above a block.
    """
    items: list[Item] = []
    notes: list[tuple[str, str]] = []
    for token in MarkdownIt("commonmark").parse(markdown):
        line = _line(token)
        unknown = [f"{name}: {value}" for name, value in notes if name not in NOTES]
        if token.type == "fence":
            if unknown:
                raise PageError(f"line {line}: unknown comment {unknown[0]!r}; expected {_KNOWN}")
            items.append(Block(token.info.strip(), token.content, line, tuple(notes)))
            notes = []
        elif token.type == "html_block":
            for found in _commented(token.content, line):
                notes.append(found) if isinstance(found, tuple) else items.append(found)
        else:
            _refuse_notes(notes, line)
            notes = []
    _refuse_notes(notes, len(markdown.splitlines()))
    return items


def _refuse_notes(notes: list[tuple[str, str]], line: int) -> None:
    """Raise PageError for notes that have no block directly below them."""
    for name, _ in notes:
        if name in NOTES:
            raise PageError(f"line {line}: {name!r} does not stand directly above a block")


def _line(token: Token) -> int:
    return (token.map or [0])[0] + 1


def _commented(html: str, line: int) -> Iterator[HiddenFile | Place | tuple[str, str]]:
    for comment in re.findall(r"<!--(.*?)-->", html, re.DOTALL):
        first, _, rest = comment.lstrip("\n").partition("\n")
        name, _, value = (part.strip() for part in first.partition(":"))
        if name == "file":
            yield HiddenFile(value, rest)
        elif name == "place" and value in PLACES:
            yield Place(value)
        elif name == "place" or (name in NOTES and bool(value) != bool(NOTES[name])):
            raise PageError(f"line {line}: {first.strip()!r} lacks its value or has a wrong one")
        elif name not in LABELS and not name.startswith("{"):
            yield name, value


def plan_of(block: Block) -> Plan:
    """Return what is done with a block. Raises PageError if that would be nothing."""
    names = {name for name, _ in block.notes}
    for plan, name in ((Plan.NOT_RUN, "not run"), (Plan.SAVE, "save as"), (Plan.OUTPUT, "output")):
        if name in names:
            return plan
    if (way := block.value("run")) is not None:
        if way not in RUN:
            raise PageError(f"line {block.line}: {way!r} is not a way to run a block")
        return RUN[way]
    if block.language in SHELL:
        return Plan.SHELL
    if block.language == "python":
        is_test = re.search(r"^(async )?def test_", block.text, re.MULTILINE)
        return Plan.TESTS if is_test else Plan.SCRIPT
    if block.language in PARSED:
        return Plan.PARSE
    raise PageError(
        f"line {block.line}: this block is neither run nor parsed; "
        "write <!-- not run: REASON --> or <!-- output --> above it"
    )
