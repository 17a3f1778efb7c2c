"""Errors of the kit itself, as values for a report.

An error of the kit must never look like a verdict on the client.

Two kinds exist: an error while a clause is judged costs that clause its verdict, and becomes a
finding. Any other stands in `Report.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mockbroker.report.finding import Finding, Verdict

__all__ = ["KitError"]


@dataclass(frozen=True, slots=True)
class KitError:
    """An error of the kit: one line, and the traceback as a string. Secrets are masked.

    Two errors with the same strings are equal, so that a report shows them once.
    """

    reason: str
    traceback: str = ""

    def finding(self, clause_id: str) -> Finding:
        """Return the verdict on the clause that was being judged."""
        return Finding(clause_id, Verdict.ERROR, self.reason, details=self.traceback)
