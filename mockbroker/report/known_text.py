"""Editing the text of a file of known failures: only its entries change.

tomlkit keeps comments and formatting within an entry. But it assigns a comment above
``[[known]]`` to the entry before, and would remove it together with that entry. Therefore this
module splits the text into entries first, and tomlkit parses each as a document of its own.

A file belongs to the user, who writes reasons and comments in it and reviews its diffs. Line ends
are the caller's concern: here a line ends in a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from mockbroker.report.known_failures import KnownFailure

__all__ = ["updated_text"]

_NAME = "known"
# A header may be indented, have blanks inside its brackets, and have its name in quotes.
_ENTRY_BEGINS = re.compile(rf"""[ \t]*\[\[[ \t]*(["']?){_NAME}\1[ \t]*\]\]""")
_COMMENT = re.compile(r"[ \t]*#")
_COMMENT_OR_BLANK = re.compile(r"[ \t]*(#|$)")
# TOML has \uXXXX up to here and \UXXXXXXXX beyond.
_LARGEST_SHORT_ESCAPE = 0xFFFF
_HEADER = """\
# Known failures: `mockbroker check TARGET --known FILE` expects them, and fails once one passes.
# Replace each TODO with a reason: an entry without a reason does not count. Optional are `issue`,
# an id or a URL, and `expires`, the last day on which the failure is accepted, such as
# expires = 2030-12-31. `example` showed the failure and is run first; `found` describes it.
# `--write-known` updates these two, adds and removes entries, and keeps the rest of the file.
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    """An entry: the comment directly above it, its table, and the lines up to the next entry.

    The lines before the first entry are a piece that has only ``below``.
    """

    above: str = ""
    table: str = ""
    below: str = ""

    def __str__(self) -> str:
        return self.above + self.table + self.below


def updated_text(text: str, entries: Sequence[tuple[KnownFailure, str]]) -> str:
    """Return the text of a file, changed so that it lists exactly these failures.

    Each failure comes with the finding in words, which may be empty. An existing entry keeps its
    place and formatting. Entries in another form become tables ``[[known]]``. The text must be
    valid TOML; an empty one gets a heading.
    """
    wanted = {failure.clause_id: (failure, found) for failure, found in entries}
    pieces = _pieces(text) if text.strip() else [_Piece(below=_HEADER)]
    kept = []
    for piece in pieces:
        table = _table_of(piece.table)
        if table is None:
            kept.append(piece)
        elif (clause_id := str(table[1]["clause"])) in wanted:
            # Taken out: what is left in `wanted` at the end has no entry yet.
            kept.append(replace(piece, table=_updated(table, *wanted.pop(clause_id))))
        # The entry goes, but a comment below its table may belong to the file as a whole.
        elif _COMMENT.search(piece.below):
            kept.append(_Piece(below=piece.below))
    before = "".join(map(str, kept)).rstrip()
    added = [_new(failure, found) for failure, found in wanted.values()]
    # New entries go to the end, with a blank line before each: the diff then shows additions only.
    return "\n".join([*([f"{before}\n"] if before else ()), *added])


def _pieces(text: str) -> list[_Piece]:
    """Split the text into entries, each with the comments that belong to it.

    The pieces joined give the text again, apart from entries in another form. The first piece has
    the lines before the first entry, and may be empty.
    """
    lines = re.findall(r".*\n|.+", text)
    starts = [n for n, line in enumerate(lines) if _ENTRY_BEGINS.match(line)]
    pieces, begin, header = [], 0, -1
    for start in starts:
        above = start
        # A comment directly above an entry belongs to it; a blank line ends that.
        while above > begin and above > header + 1 and _COMMENT.match(lines[above - 1]):
            above -= 1
        # A line that looks like a header may be part of a string. Then the lines before it are
        # not complete TOML.
        cut = next((n for n in (above, start) if _is_complete(lines[begin:n])), None)
        if cut is not None:
            pieces.append(_piece(lines[begin:cut], header - begin))
            begin, header = cut, start
    pieces.append(_piece(lines[begin:], header - begin))
    pieces[0] = replace(pieces[0], below=_without_entries(pieces[0].below))
    return pieces


def _piece(lines: list[str], header: int) -> _Piece:
    """Make a piece of these lines; ``header`` is the index of its header, negative without one.

    Comments and blank lines at the end go to ``below``: they may belong to what follows.
    """
    if header < 0:
        return _Piece(below="".join(lines))
    end = len(lines)
    while _COMMENT_OR_BLANK.match(lines[end - 1]) and _is_complete(lines[header : end - 1]):
        end -= 1
    above, table, below = lines[:header], lines[header:end], lines[end:]
    return _Piece("".join(above), "".join(table), "".join(below))


def _is_complete(lines: list[str]) -> bool:
    """Return whether the lines are valid TOML by themselves.

    It decides whether a line break is a boundary between values or part of a string of several
    lines.
    """
    try:
        tomlkit.parse("".join(lines))
    except TOMLKitError:
        return False
    return True


def _without_entries(text: str) -> str:
    """Return the text without a key that lists entries in an array, ``known = [{...}]``.

    The text stays byte for byte the same if it has no such key.
    """
    document = tomlkit.parse(text)
    return tomlkit.dumps(document) if document.pop(_NAME, None) is not None else text


def _table_of(text: str) -> tuple[tomlkit.TOMLDocument, Any] | None:
    """Return the document and the one table ``[[known]]`` in it; None if the text has none."""
    document = tomlkit.parse(text)
    return (document, document[_NAME][0]) if _NAME in document else None


def _updated(parsed: tuple[tomlkit.TOMLDocument, Any], failure: KnownFailure, found: str) -> str:
    """Return the text of an entry with the results of the run; the user's own keys stay.

    Only ``found`` and ``example`` come from a run. An empty finding or a missing example changes
    nothing.
    """
    document, table = parsed
    for key, value in {"found": found or None, "example": failure.example}.items():
        # Compared by repr, because 1 == True == 1.0.
        if value is not None and repr(table.unwrap().get(key)) != repr(value):
            table[key] = _item(value)
    return tomlkit.dumps(document)


def _new(failure: KnownFailure, found: str) -> str:
    """Return the text of a new entry."""
    table = tomlkit.table()
    values = {
        "clause": failure.clause_id,
        "found": found or None,
        "reason": failure.reason,
        "issue": failure.issue or None,
        "expires": failure.expires,
        "example": failure.example,
    }
    for key, value in values.items():
        if value is not None:
            table.add(key, _item(value))
    return f"[[{_NAME}]]\n{table.as_string()}"


def _item(value: object) -> Item:
    """Return the value for tomlkit, in one line of printable characters.

    tomlkit does not escape characters that change the direction of text. It writes a table in
    several lines unless the table is part of an array; hence the array here.
    """
    array = tomlkit.array()
    array.append(value)
    text = array.as_string()[1:-1]
    # The examples are found by random search and hold any character, and people read this file.
    escaped = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return tomlkit.value(escaped)


def _escaped(character: str) -> str:
    """Return a character as an escape of TOML, four or eight hexadecimal digits long."""
    code = ord(character)
    return f"\\u{code:04X}" if code <= _LARGEST_SHORT_ESCAPE else f"\\U{code:08X}"
