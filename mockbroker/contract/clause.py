"""The record of a clause: everything about it in one place.

The broker, the kit, reports and the documentation all read these records. A clause that was spread
over tables by id could be missing in one of them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypedDict, Union

from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.level import Level
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
    "Wording",
    "always",
    "in_any_words",
    "names_lifetime",
    "names_token_type",
    "practice",
    "provider",
    "rfc",
]


class Impact(str, enum.Enum):
    """The cost of a breach in production, the costliest first.

    ``SECURITY``: a secret or token leaks, or the client trusts an impostor. ``OUTAGE``: calls fail
    now or at the next refresh. ``QUOTA``: the client sends more token requests than needed.
    ``COMPATIBILITY``: the client fails on a legal answer or setting. ``DIAGNOSIS``: the cause of a
    failure is hard to find.
    """

    SECURITY = "security"
    OUTAGE = "outage"
    QUOTA = "quota"
    COMPATIBILITY = "compatibility"
    DIAGNOSIS = "diagnosis"


@dataclass(frozen=True, slots=True)
class Source:
    """The document, and the section of it, from which a clause comes.

    ``url`` leads to the section, and is empty for documents without a public page. ``fields`` are
    those fields of a profile whose pages are meant; `Clause.for_profile` puts the pages there.

    Its string is what reports and pages print.
    """

    document: str
    section: str = ""
    url: str = ""
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.document}, {self.section}" if self.section else self.document


def rfc(number: int, section: str = "") -> Source:
    """Return an RFC, or a section of it, as a source."""
    anchor = f"#section-{section}" if section else ""
    # The RFC Editor's pages are the official ones, and have an anchor for each section.
    return Source(f"RFC {number}", section, f"https://www.rfc-editor.org/rfc/rfc{number}{anchor}")


def provider(*fields: str) -> Source:
    """Return the provider's pages on these fields of its profile as a source."""
    return Source("documentation of the provider", fields=fields)


practice = Source("practice of real brokers")


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw that a judge found; it breaks the clause of that judge.

    ``what`` describes the observation and ``expected`` the right behaviour, as ends of a message.
    ``exchanges`` has the numbers of the exchanges that show the flaw. The strings may quote
    the request, so the broker masks them before it sends or logs them.
    """

    what: str
    expected: str
    exchanges: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenRequestJudge:
    """A judge of a single token request.

    ``flaws`` is called for each token request of a profile to which the clause applies.
    """

    flaws: Callable[[TokenRequest, TokenExpectation], Iterator[Flaw]]


@dataclass(frozen=True, slots=True)
class ApiCallJudge:
    """A judge of a single call to the protected API.

    ``flaws`` is called for each call, whatever the state of its token is.
    """

    flaws: Callable[[Request, ApiExpectation], Iterator[Flaw]]


@dataclass(frozen=True, slots=True)
class TraceJudge:
    """A judge of what several messages show together.

    ``flaws`` is called with a whole trace, or with a window of it in an audit. It must not take the
    beginning of the trace for that of the client.
    """

    flaws: Callable[[Trace], Iterator[Flaw]]


# What a clause judges decides when: a single message on its arrival, a trace afterwards.
Judge = Union[TokenRequestJudge, ApiCallJudge, TraceJudge]


@dataclass(frozen=True, slots=True)
class Precondition:
    """The situation that traffic must show before a clause without a breach counts as kept.

    ``lack`` says what is missing while ``is_met`` returns False.

    An audit calls ``is_met`` for each window of its traffic.
    """

    lack: str
    is_met: Callable[[Trace], bool]


def names_lifetime(profile: Profile) -> str:
    """Apply to profiles whose token response says how long a token lives; see `applies_to`.

    A client of the others cannot know it, and may keep a token until the API refuses it.
    """
    return _answer_has("expires_in", profile)


def names_token_type(profile: Profile) -> str:
    """Apply to profiles whose token response has the type of the token; see `applies_to`."""
    return _answer_has("token_type", profile)


def _answer_has(member: str, profile: Profile) -> str:
    """Return why a clause on a member of the token response does not apply; empty if it does."""
    if member not in profile.answer.omit:
        return ""
    return f"the token response of profile {profile.name} has no {member}"


class Wording(TypedDict, total=False):
    """The texts of a clause that differ for a profile, and its sources; see `Clause`.

    A provider that differs from an RFC has other sources than the RFC.
    """

    title: str
    consequence: str
    why: str
    fix: str
    sources: tuple[Source, ...]


def in_any_words(_: Profile) -> Wording:
    """Keep the words of a clause for every profile; see `Clause.wording`."""
    return {}


def always(_: Profile) -> str:
    """Apply to every profile; see `Clause.applies_to`."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clause:
    """A rule for clients, and everything that is known about it.

    ``title`` completes the sentence "the client …". ``consequence`` says what a breach leads to in
    production, for readers who do not know the protocol; it is a sentence without capital letter
    and full stop. ``why`` describes the failure without the rule, ``fix`` the change in the client.
    ``applies_to`` returns the reason why the rule does not apply to a profile, or an empty string.
    A clause with a ``judge`` is *passive*: traffic alone shows whether a client breaks it, once the
    ``precondition`` is met. The others need a scenario. Clauses with the same id are equal.

    The texts are those for the form of RFC 6749 and RFC 6750. ``wording`` returns, by their names,
    those that differ for a profile; `for_profile` returns the clause with them.
    """

    id: str
    level: Level
    impact: Impact
    title: str
    sources: tuple[Source, ...] = ()
    consequence: str
    why: str
    fix: str
    applies_to: Callable[[Profile], str] = always
    wording: Callable[[Profile], Wording] = in_any_words
    judge: Judge | None = None
    precondition: Precondition | None = None

    def __post_init__(self) -> None:
        # A judge without a precondition would let a client pass that never met the situation.
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

    def for_profile(self, profile: Profile) -> Clause:
        """Return the clause in the terms of a profile, with its pages as sources.

        A fact of a profile without a page has the profile itself as its source.
        """
        return _for_profile(self, profile)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clause) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Clause {self.id}>"


# A report asks for each clause several times, of one profile.
@lru_cache(maxsize=512)
def _for_profile(clause: Clause, profile: Profile) -> Clause:
    # A clause that does not apply is listed all the same, and has nothing to say of the profile.
    if clause.applies_to(profile):
        return clause
    changed = clause.wording(profile)
    wanted = changed.get("sources", clause.sources)
    sources = tuple(dict.fromkeys(_pages(wanted, profile)))
    if wanted and not sources and clause.level is not Level.PRACTICE:
        sources = (Source(f"profile {profile.name}"),)
    return replace(
        clause,
        title=changed.get("title", clause.title),
        consequence=changed.get("consequence", clause.consequence),
        why=changed.get("why", clause.why),
        fix=changed.get("fix", clause.fix),
        sources=sources,
    )


def _pages(sources: tuple[Source, ...], profile: Profile) -> Iterator[Source]:
    """Yield the sources, with the pages of the profile for those that name its fields."""
    for source in sources:
        if not source.fields:
            yield source
        for page in (each for name in source.fields for each in profile.sources_of(name)):
            found = _RFC_PAGE.fullmatch(page.url)
            if found and not page.title:
                # As other clauses cite it, so that no document stands there by two names.
                yield rfc(int(found[1]), found[2] or "")
            else:
                yield Source(page.title or page.url, url=page.url)


_RFC_PAGE = re.compile(
    r"https://www\.rfc-editor\.org/rfc/rfc(\d+)(?:\.html)?(?:#section-([\d.]+))?"
)
