"""Verdicts on clauses, and how a scenario reaches one."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from mockbroker.escaping import printable_lines
from mockbroker.spec.clause import Breach
from mockbroker.spec.exchange import Exchange

__all__ = [
    "BREACHES",
    "ClientCrashed",
    "ClientHung",
    "ContractBreached",
    "DriverFailed",
    "Finding",
    "NotApplicable",
    "NotTested",
    "ResourcesExhausted",
    "ScenarioEnded",
    "Verdict",
]


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


class ScenarioEnded(Exception):  # noqa: N818 - an outcome of a scenario, no error of the program
    """Base of everything by which a scenario ends other than by passing.

    ``drawn`` is the example that led to it, or None if none was drawn. ``is_costly`` if to come
    to it again takes so long that no simpler way is looked for.
    """

    drawn: Any = None
    is_costly = False


class ContractBreached(ScenarioEnded):
    """The client broke the scenario's own clause.

    ``story`` is what happened, step by step; ``exchanges`` are the messages, secrets masked;
    ``curl`` a command that shows the right request, where that helps.
    """

    def __init__(
        self,
        breaches: tuple[Breach, ...],
        story: str = "",
        exchanges: tuple[str, ...] = (),
        curl: str = "",
    ) -> None:
        self.breaches, self.story, self.exchanges, self.curl = breaches, story, exchanges, curl
        super().__init__("\n".join(dict.fromkeys(map(str, breaches))))

    @property
    def clause_id(self) -> str:
        """The clause that was broken."""
        return self.breaches[0].clause_id

    def finding(self, verdict: Verdict) -> Finding:
        """What the report says of it."""
        first = self.breaches[0]
        return Finding(
            first.clause_id, verdict, first.in_words, self.story, self.exchanges, self.curl
        )


class ResourcesExhausted(Exception):  # noqa: N818 - an event
    """The judging process ran out of something; what the client did meanwhile says nothing."""


class NotTested(ScenarioEnded):
    """The clause could not be judged; the text says what stood in the way."""


class NotApplicable(ScenarioEnded):
    """The client declares that it lacks what the clause is about."""


class ClientHung(ScenarioEnded):
    """The client did not come back, or made requests without end, and was cut off.

    ``exchanges`` are those that were seen meanwhile; ``is_flood`` if there were too many of them.
    """

    is_costly = True

    def __init__(
        self, message: str, exchanges: tuple[Exchange, ...] = (), *, is_flood: bool = False
    ) -> None:
        self.exchanges, self.is_flood = exchanges, is_flood
        super().__init__(message)


class ClientCrashed(ScenarioEnded):
    """The client, or what drives it, died."""


class DriverFailed(ScenarioEnded):
    """What drives the client broke the protocol, which says nothing of the client."""

    is_costly = True


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
