"""Errors of the kit itself, as values for a report.

An error of the kit must never look like a verdict on the client.
"""

from __future__ import annotations

from collections.abc import Mapping
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

    def to_json(self) -> dict[str, str]:
        """Return the error as values for JSON, for another process."""
        return {"reason": self.reason, "traceback": self.traceback}

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> KitError:
        """Return the error from the values of `to_json`."""
        return cls(values["reason"], values["traceback"])
