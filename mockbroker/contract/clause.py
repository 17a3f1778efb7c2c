"""What a clause of the contract is: one record with everything that is known about it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Union

from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.model.exchange import Trace
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "ApiCallJudge",
    "Clause",
    "Flaw",
    "Impact",
    "Judge",
    "Level",
    "Precondition",
    "Source",
    "TokenRequestJudge",
    "TraceJudge",
    "always",
    "practice",
    "rfc",
    "vendor",
]


class Level(str, enum.Enum):
    """How binding a clause is.

    The first three are RFC 2119 words and come from a cited sentence. ``PRACTICE`` is what
    experience asks and no document does; failing it never violates a specification.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"
    PRACTICE = "PRACTICE"


class Impact(str, enum.Enum):
    """What breaking a clause costs in production, the costliest first.

    ``SECURITY``: a secret or token where it does not belong, or an impostor believed. ``OUTAGE``:
    calls fail, or will at the next refresh. ``QUOTA``: more token requests than needed.
    ``COMPATIBILITY``: the client cannot cope with a legal answer or setting. ``DIAGNOSIS``: it is
    hard to find out what went wrong.
    """

    SECURITY = "security"
    OUTAGE = "outage"
    QUOTA = "quota"
    COMPATIBILITY = "compatibility"
    DIAGNOSIS = "diagnosis"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a clause comes from: a document and a section of it."""

    document: str
    section: str = ""
    url: str = ""

    def __str__(self) -> str:
        return f"{self.document}, {self.section}" if self.section else self.document


def rfc(number: int, section: str = "") -> Source:
    """Return an RFC, or a section of it, as a source."""
    anchor = f"#section-{section}" if section else ""
    return Source(f"RFC {number}", section, f"https://www.rfc-editor.org/rfc/rfc{number}{anchor}")


vendor = Source("AutoGrab developer pages, “OAuth Authentication”")
practice = Source("practice of real brokers")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What a judge found wrong; the clause that it judges is the one that is broken.

    ``what`` says what was observed, ``expected`` what would have been right, ``exchanges`` has the
    numbers of the exchanges that show it.
    """

    what: str
    expected: str
    exchanges: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenRequestJudge:
    """Judges one token request."""

    flaws: Callable[[TokenRequest, TokenExpectation], Iterator[Flaw]]


@dataclass(frozen=True, slots=True)
class ApiCallJudge:
    """Judges one call of the protected API."""

    flaws: Callable[[Request, ApiExpectation], Iterator[Flaw]]


@dataclass(frozen=True, slots=True)
class TraceJudge:
    """Judges what several messages show together."""

    flaws: Callable[[Trace], Iterator[Flaw]]


Judge = Union[TokenRequestJudge, ApiCallJudge, TraceJudge]


@dataclass(frozen=True, slots=True)
class Precondition:
    """The situation that observed traffic must show before silence on a clause means anything.

    ``lack`` says what is missing as long as ``is_met`` holds for no trace.
    """

    lack: str
    is_met: Callable[[Trace], bool]


def always(_: Profile) -> str:
    """Apply to every profile; see `Clause.applies_to`."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clause:
    """One thing that a sound client does.

    ``title`` completes the sentence "the client …". ``why`` says what goes wrong in production
    without it, ``fix`` what to do in the client. ``applies_to`` returns why a profile has no such
    thing, or an empty string. A clause with a ``judge`` is *passive*: traffic alone shows whether
    a client breaks it, once the ``precondition`` is met. The others need a scenario. Each clause
    exists once, so that they compare by identity.
    """

    id: str
    level: Level
    impact: Impact
    title: str
    sources: tuple[Source, ...] = ()
    why: str
    fix: str
    applies_to: Callable[[Profile], str] = always
    judge: Judge | None = None
    precondition: Precondition | None = None

    def __post_init__(self) -> None:
        if (self.judge is None) != (self.precondition is None):
            raise ValueError(f"{self.id}: a judge needs a precondition, and the other way round")

    @property
    def chapter(self) -> str:
        """The part of the id before the dot: ``refresh`` for ``refresh.ahead``."""
        return self.id.partition(".")[0]

    @property
    def is_passive(self) -> bool:
        """Whether observed traffic alone shows that a client breaks the clause."""
        return self.judge is not None

    def __repr__(self) -> str:
        return f"<Clause {self.id}>"
