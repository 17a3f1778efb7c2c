"""The results of the checks of the releases, stored in results.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from evidence.released_bugs.cases import Bug
from evidence.verdicts import StoredVerdicts
from mockbroker.contract.catalogue import clause_named
from mockbroker.report.finding import Verdict

__all__ = ["Result", "Results", "read_results"]


class Result(StoredVerdicts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The result of the check of one release.

    ``reason`` is that of the breach of the bug's clause, empty without a breach. ``shows_bug`` is
    True if that breach is the bug, and not another way to break the clause.
    """

    reason: str = ""
    shows_bug: bool = False

    def is_free_of(self, bug: Bug) -> bool:
        """Return whether the bug's clause passes, or is broken in a way that is not the bug."""
        if bug.step and self.breaches(clause_named(bug.clause)):
            return not self.shows_bug
        return self.verdicts.get(bug.clause) is Verdict.PASSED


Results = Mapping[str, Mapping[str, Result]]
"""The result of each variant, by the name of the case and then by the variant."""


def read_results(file: Path) -> dict[str, dict[str, Result]]:
    """Return the stored results; empty if the file does not exist."""
    if not file.is_file():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, Result]])
