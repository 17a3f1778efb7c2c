"""Selection of clauses by id, chapter or level, as a user writes it.

A pattern selects by id, chapter, level or wildcard. An exact rule is easy to predict; unknown
patterns are errors with suggestions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from mockbroker.contract.level import Level

__all__ = ["EVERY_CLAUSE", "Selectable", "Selection", "SelectionError", "select"]

# The characters that begin a wildcard of `fnmatch`; ids have none of them.
_WILDCARDS = frozenset("*?[")
_MAX_SUGGESTIONS = 4


class Selectable(Protocol):
    """The properties of a clause by which it is selected.

    A protocol, so that a selection does not depend on the class of clauses.
    """

    @property
    def id(self) -> str:
        """The chapter and the name, with a dot between them."""

    @property
    def level(self) -> Level:
        """The level of the clause."""


class SelectionError(ValueError):
    """A pattern that selects no clause; the message names the nearest ones.

    ``pattern`` is the pattern as the user wrote it.
    """

    def __init__(self, pattern: str, nearest: Sequence[str]) -> None:
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"{pattern!r} is not the id, chapter or level of a clause; "
            + (hint or "`mockbroker clauses` lists them")
        )
        self.pattern = pattern


# Not a dataclass: making one costs each start of pytest as much as the rest of this module.
class Selection:
    """The patterns by which a user selects clauses; without any, every clause is selected.

    It is false without patterns, and its string is what the user wrote.

    Ask it with ``in``: ``clause in selection``. Any object with an id and a level will do.
    """

    __slots__ = ("patterns",)

    def __init__(self, patterns: tuple[str, ...] = ()) -> None:
        self.patterns = patterns

    def __contains__(self, clause: Selectable) -> bool:
        return not self.patterns or any(_matches(pattern, clause) for pattern in self.patterns)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def __str__(self) -> str:
        return ",".join(self.patterns)


EVERY_CLAUSE = Selection()


def select(texts: Iterable[str], clauses: Sequence[Selectable]) -> Selection:
    """Return the selection that these texts write, each one pattern or several with commas.

    A pattern is the id of a clause, its chapter, its level, or a shell wildcard that matches a
    whole id. Raises SelectionError for a pattern that matches none of ``clauses``.
    """
    parts = (part.strip() for text in texts for part in text.split(","))
    patterns = tuple(part for part in parts if part)
    for pattern in patterns:
        # A pattern without a match is an error: a run of no clauses would pass.
        if not any(_matches(pattern, clause) for clause in clauses):
            raise SelectionError(pattern, _nearest(pattern, clauses))
    return Selection(patterns) if patterns else EVERY_CLAUSE


def _matches(pattern: str, clause: Selectable) -> bool:
    """Return whether a pattern selects a clause; `select` states the rules."""
    # Never by a part of an id: `token` would select unrelated clauses, and another set of them
    # with each new clause.
    if _WILDCARDS & set(pattern):
        return fnmatchcase(clause.id, pattern)
    return pattern in (clause.id, _chapter(clause.id)) or pattern.upper() == clause.level.value


def _chapter(clause_id: str) -> str:
    """Return the part of an id before the dot, or the whole id without one."""
    return clause_id.partition(".")[0]


def _nearest(pattern: str, clauses: Sequence[Selectable]) -> list[str]:
    """Return the ids, chapters and levels that the user may have meant, the likeliest first."""
    import difflib  # noqa: PLC0415 - only for a pattern that matches nothing

    ids = [clause.id for clause in clauses]
    # A dict keeps the order of the catalogue, which a set would not.
    names = dict.fromkeys([*map(_chapter, ids), *ids, *(level.value.lower() for level in Level)])
    # Wildcards at the ends say nothing about the name that was meant.
    wanted = pattern.lower().strip(".*?")
    holding = [name for name in names if wanted and wanted in name]
    # Many names may hold a common word, such as token. A name whose last part it is comes first.
    holding.sort(key=lambda name: name.rpartition(".")[2] != wanted)
    # Names without their chapters are compared as well: only then is `ahed` near `refresh.ahead`.
    # Reversed, so that of clauses with the same last part the first one remains.
    by_last_part = {clause_id.rpartition(".")[2]: clause_id for clause_id in reversed(ids)}
    close = [
        *difflib.get_close_matches(wanted, names),
        *(by_last_part[part] for part in difflib.get_close_matches(wanted, by_last_part)),
    ]
    return list(dict.fromkeys([*holding, *close]))[:_MAX_SUGGESTIONS]
