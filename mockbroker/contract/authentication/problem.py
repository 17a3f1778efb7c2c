"""A mistake in the credentials of a token request, as judges and hints share it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one part: what was observed, what was expected, and the likely mistake.

    The part decides the clause that the problem breaks.
    """

    part: enum.Enum
    what: str
    expected: str
    hint: str
