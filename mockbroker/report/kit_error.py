"""Errors of the kit itself, as values for a report."""

from __future__ import annotations

from dataclasses import dataclass

from mockbroker.report.finding import Finding, Verdict

__all__ = ["KitError"]


@dataclass(frozen=True, slots=True)
class KitError:
    """An error of the kit: one line, and the traceback as a string. Secrets are masked."""

    reason: str
    traceback: str = ""

    def finding(self, clause_id: str) -> Finding:
        """Return the verdict on the clause that was being judged."""
        return Finding(clause_id, Verdict.ERROR, self.reason, details=self.traceback)
