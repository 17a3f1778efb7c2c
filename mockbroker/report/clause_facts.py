"""What a report says of a clause beside its title: why it matters, how to fix it, what it costs.

Each fact has one accessor here, so that no report format knows where it is kept.
"""

from __future__ import annotations

import enum

from mockbroker.contract.clause import Clause
from mockbroker.contract.guidance import GUIDANCE

__all__ = ["Impact", "fix_of", "impact_of", "url_of", "why_of"]


class Impact(str, enum.Enum):
    """What the breach of a clause costs, the gravest first."""

    SECURITY = "security"
    OUTAGE = "outage"
    QUOTA = "quota"
    COMPATIBILITY = "compatibility"
    DIAGNOSIS = "diagnosis"

    @property
    def rank(self) -> int:
        """The place in the order of gravity; 0 is the gravest."""
        return list(Impact).index(self)


_IMPACTS = {"secrecy": Impact.SECURITY, "tls": Impact.SECURITY}


def impact_of(clause: Clause) -> Impact:
    """Return what a breach of the clause costs."""
    return _IMPACTS.get(clause.chapter, Impact.OUTAGE)


def why_of(clause: Clause) -> str:
    """Return what goes wrong in production if a client breaks the clause."""
    return GUIDANCE[clause.id].why


def fix_of(clause: Clause) -> str:
    """Return what to change in a client that breaks the clause."""
    return GUIDANCE[clause.id].mend


def url_of(clause: Clause) -> str | None:  # noqa: ARG001 - no page of a clause is published yet
    """Return where the documentation of the clause is published; None if it is not."""
    return None
