"""How long a client that has hung before is waited for."""

from __future__ import annotations

__all__ = ["Hangs"]

_FULL = 3
"""So many hangs are waited for in full, so that they are verdicts."""
_BRIEF = 10
"""So many more are waited for briefly; then the client is not used any more."""
_BRIEF_SECONDS = 2.0


class Hangs:
    """The hangs of one client so far.

    To wait for each in full would take a check of a client that hangs at nearly every use an hour.
    So after a few of them it is given only seconds: where it comes back it is judged as before,
    and where it does not, nothing is known of that clause. It is the number that counts and not
    the time they took, for the same verdicts on every machine.
    """

    def __init__(self) -> None:
        self._clauses: list[str] = []
        self._brief = 0

    def add(self, clause_id: str, *, is_brief: bool) -> None:
        """The client has hung in the scenario of that clause; it was waited for briefly or not."""
        self._clauses.append(clause_id)
        self._brief += is_brief

    def deadline(self, wanted: float) -> float:
        """How many seconds of real time one use may take now where it may take so many."""
        return wanted if len(self._clauses) < _FULL else min(wanted, _BRIEF_SECONDS)

    @property
    def too_many(self) -> str:
        """Why the client is not used any more; empty as long as it is."""
        if self._brief < _BRIEF:
            return ""
        return f"the client has hung {len(self._clauses)} times and is not used any more"

    @property
    def before(self) -> str:
        """In words, how often it has hung, and where it was waited for in full."""
        where = dict.fromkeys(self._clauses[:_FULL])
        return f"it has hung {len(self._clauses)} times, at first in {', '.join(where)}"
