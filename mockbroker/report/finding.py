"""Verdicts on clauses, and the findings that show them."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from mockbroker.model.escaping import printable_lines

__all__ = ["BREACHES", "Finding", "Verdict"]


class Verdict(str, enum.Enum):
    """What is known of a client and a clause after a run.

    ``ERROR`` is the only one that says nothing about the client: the kit failed.
    """

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"
    NOT_APPLICABLE = "not-applicable"
    NOT_TESTED = "not-tested"
    KNOWN = "known"
    STALE = "stale"
    HANG = "hang"
    CRASH = "crash"
    ERROR = "error"


BREACHES = (Verdict.FAILED, Verdict.ADVICE, Verdict.HANG, Verdict.CRASH)
"""The verdicts on a client that did not keep a clause."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one clause, with what shows it. All texts have secrets and tokens masked.

    Control characters and log commands in them are escaped, so that every output can print them.
    """

    clause_id: str
    verdict: Verdict
    reason: str = ""
    example: str = ""
    exchanges: tuple[str, ...] = ()
    curl: str = ""

    def __post_init__(self) -> None:
        for name in ("reason", "example", "curl"):
            object.__setattr__(self, name, printable_lines(getattr(self, name)))
        object.__setattr__(self, "exchanges", tuple(map(printable_lines, self.exchanges)))

    def to_json(self) -> dict[str, Any]:
        """Plain values, fit for JSON and for travelling between processes."""
        return {**asdict(self), "verdict": self.verdict.value, "exchanges": list(self.exchanges)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Finding:
        """The finding that `to_json` described."""
        changed = {"verdict": Verdict(values["verdict"]), "exchanges": tuple(values["exchanges"])}
        return cls(**{**values, **changed})
