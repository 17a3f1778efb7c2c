"""The levels of clauses, apart from the clauses: pytest imports this module at every start."""

from __future__ import annotations

import enum

__all__ = ["Level"]


# A string as well, so that JSON and messages get its value without a conversion.
class Level(str, enum.Enum):
    """The level of a clause, the most binding first.

    The first three are RFC 2119 words and come from a cited sentence. ``PRACTICE`` comes from
    experience alone; breaking such a clause never violates a specification.

    A strict broker rejects requests that break a MUST or have wrong credentials. It only records
    other breaches.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"
    PRACTICE = "PRACTICE"
