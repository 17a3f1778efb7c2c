"""An error of the kit itself, as a value that a report can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mockbroker.report.finding import Finding, Verdict

__all__ = ["KitError"]


@dataclass(frozen=True, slots=True)
class KitError:
    """What went wrong in the kit: one line, and the traceback as text. Secrets are masked."""

    reason: str
    traceback: str = ""

    def finding(self, clause_id: str) -> Finding:
        """Return the verdict on the clause that was being judged."""
        return Finding(clause_id, Verdict.ERROR, self.reason, details=self.traceback)

    def to_json(self) -> dict[str, str]:
        """Return plain values, fit for JSON and for travelling between processes."""
        return {"reason": self.reason, "traceback": self.traceback}

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> KitError:
        """Return the error that `to_json` described."""
        return cls(values["reason"], values["traceback"])
