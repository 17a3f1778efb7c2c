"""Time limits for a client that has hung before."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Deadline", "Hangs"]

_FULL = 3
"""Number of hangs with the full deadline, each of which is a verdict."""
_BRIEF = 10
"""Number of further hangs with a short deadline; then the client is not used again."""
# Far more than a working client needs for a use, even on a busy machine.
_BRIEF_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Limit of one use, in seconds of real time; ``is_brief`` if it is shorter than wanted."""

    seconds: float
    is_brief: bool = False


class Hangs:
    """Hangs of one client so far.

    A check of a client that hangs at nearly every use would take an hour with full deadlines. So
    after a few hangs its deadline is short. A use that returns in time is judged as before; a
    clause whose use does not return is not tested. The number of hangs decides, and not their
    duration, so that the verdicts are the same on every machine.
    """

    def __init__(self) -> None:
        self._clauses: list[str] = []
        self._brief = 0

    def add(self, clause_id: str, *, is_brief: bool) -> None:
        """Count a hang in the scenario of that clause, with a short or the full deadline.

        A flood of requests is not a hang: it ends by itself at the limit of requests.
        """
        self._clauses.append(clause_id)
        self._brief += is_brief

    def deadline(self, wanted: float) -> Deadline:
        """Return the current deadline; ``wanted`` is in seconds of real time, and the most."""
        # A deadline that is short anyway stays as it is, so that its hangs remain verdicts.
        if len(self._clauses) < _FULL or wanted <= _BRIEF_SECONDS:
            return Deadline(wanted)
        return Deadline(_BRIEF_SECONDS, is_brief=True)

    @property
    def too_many(self) -> str:
        """Why the client is not used again; empty if it still is."""
        if self._brief < _BRIEF:
            return ""
        return f"the client has hung {len(self._clauses)} times and is not used any more"

    @property
    def before(self) -> str:
        """In words, the number of hangs, and the clauses with the full deadline."""
        where = dict.fromkeys(self._clauses[:_FULL])
        return f"it has hung {len(self._clauses)} times, at first in {', '.join(where)}"
