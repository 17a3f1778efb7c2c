"""The verdicts of a check, stored for a page."""

from __future__ import annotations

import msgspec

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from mockbroker.model.profile import Profile
from mockbroker.report.finding import BREACHES, Verdict

__all__ = ["StoredVerdicts", "clauses_of"]


class StoredVerdicts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the stored results of a check.

    ``version`` is that of the client's library, ``catalogue`` that of the catalogue. ``verdicts``
    has every clause of that catalogue by its id. A clause that was added later is missing in it.
    """

    version: str
    catalogue: str
    verdicts: dict[str, Verdict]

    def breaches(self, clause: Clause) -> bool:
        """Return whether the clause is broken, at any level."""
        return self.verdicts.get(clause.id) in BREACHES

    def never_tried(self, profile: Profile) -> list[Clause]:
        """Return the clauses of the profile that the check did not have, in order."""
        return [clause for clause in clauses_of(profile) if clause.id not in self.verdicts]


def clauses_of(profile: Profile) -> list[Clause]:
    """Return the clauses of the current catalogue that apply to a profile, in order."""
    return [clause for clause in CATALOGUE if not clause.applies_to(profile)]
