"""Whether a test case brought about the situation that its clause is about."""

from __future__ import annotations

import enum

__all__ = ["Situation"]


class Situation(enum.Enum):
    """What a test case says of itself when it ends without a breach.

    ``MET``: the broker saw the situation that the clause is about, and the client coped with it.
    ``UNMET``: it did not come to that, and the case counts for nothing. A clause passes only if
    at least one of its cases says ``MET``.
    """

    MET = "met"
    UNMET = "unmet"

    @classmethod
    def met_if(cls, condition: object) -> Situation:
        """Return ``MET`` if the condition is true."""
        return cls.MET if condition else cls.UNMET
