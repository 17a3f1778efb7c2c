"""What a clause of the contract is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Clause", "Level", "Source"]


class Level(str, enum.Enum):
    """How binding a clause is.

    The first three are RFC 2119 words and come from a cited sentence. ``PRACTICE`` is what
    experience asks and no document does; failing it never violates a specification.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"
    PRACTICE = "PRACTICE"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a clause comes from: a document and a section of it."""

    document: str
    section: str
    url: str

    def __str__(self) -> str:
        return f"{self.document}, {self.section}" if self.section else self.document


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that a sound client does.

    ``title`` completes the sentence "the client …". ``passive`` clauses can be judged from
    observed traffic alone; the others need a scenario that provokes them.
    """

    id: str
    level: Level
    title: str
    sources: tuple[Source, ...]
    passive: bool = False

    @property
    def chapter(self) -> str:
        """The part of the id before the dot: ``refresh`` for ``refresh.ahead``."""
        return self.id.partition(".")[0]
