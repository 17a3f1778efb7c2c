"""Result of a test case: whether the precondition of its clause was met."""

from __future__ import annotations

import enum

__all__ = ["Situation"]


class Situation(enum.Enum):
    """Result of a test case that ends without a breach.

    ``MET``: the broker saw the situation that the clause is about, and the client handled it.
    ``UNMET``: the situation did not occur, and the case counts for nothing. A clause passes only if
    at least one of its cases returns ``MET``.
    """

    MET = "met"
    UNMET = "unmet"

    @classmethod
    def met_if(cls, condition: object) -> Situation:
        """Return ``MET`` if the condition is true."""
        return cls.MET if condition else cls.UNMET
