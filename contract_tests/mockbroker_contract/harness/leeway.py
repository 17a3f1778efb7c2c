"""Measured leeway: how long before expiry a client refreshes its token."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mockbroker.contract import clauses
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.run import ContractRun

__all__ = [
    "MEASURED_LIFETIME",
    "PROBE_AGE",
    "PROBE_LIFETIME",
    "Leeway",
    "judge_kind",
    "leeway_at_once",
    "leeway_by_clock",
    "measure",
]

_CREDENTIALS = Credentials("leeway-client", "leeway-s3cret")
# A common lifetime, and large enough for every usual leeway. A search by halves takes 12 clients.
MEASURED_LIFETIME = _LIFETIME = 3600
# Each measurement has a new client, because a jittered leeway may be drawn once for each.
_REPEATS = 3
# Two equal draws of a jitter are not rare. Three more are, so hardly any jitter passes for fixed.
_CONFIRMATIONS = 3

PROBE_LIFETIME, PROBE_AGE = 1400, 1.5
"""Seconds: every sound leeway is below this lifetime, which milliseconds would make expire.

A client that reads the lifetime as milliseconds treats the token as expired at this age. The age is
short enough to wait for in real time.
"""

# Seconds. Rounding to full seconds on both sides of a comparison may add up to one.
_SAME = 1.5
# A measurement uses tokens of every age, so it would show breaches of these two. Their own cases
# judge them better.
_STEADY = [clauses.refresh.HONOURS_EXPIRES_IN, clauses.refresh.NOT_TOO_EAGER]


@dataclass(frozen=True, slots=True)
class Leeway:
    """Time before expiry at which a client refreshes, in seconds: the range, and its kind.

    ``at_once`` is the longest lifetime of a token that is not used twice. It equals a fixed leeway,
    is 0 for a proportional one or none, and is less for one that is capped. It is None for a client
    that fails with short lifetimes.
    """

    shortest: float
    longest: float
    kind: str
    at_once: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return the leeway as the report shows it."""
        facts = {"leeway_seconds": [self.shortest, self.longest], "leeway_kind": self.kind}
        return facts if self.at_once is None else {**facts, "leeway_at_once_seconds": self.at_once}


def measure(run: ContractRun) -> Leeway | None:
    """Measure the leeway of new clients; None without a cache, or if no clock can show it.

    Two methods are combined: without a clock, and by the virtual clock. The first alone is wrong
    for every client that refetches at once, so it counts only for clients that keep a token. Where
    no clock can be moved, the client must also keep a token while a little real time passes.
    """
    if not _keeps_tokens(run):
        return None
    at_once = leeway_at_once(run)
    if not run.time.is_virtual:
        # A value of 0 does not distinguish a proportional leeway from none.
        return Leeway(at_once, at_once, "fixed", at_once) if at_once else None
    first = leeway_by_clock(run, _LIFETIME)
    repeated = [first, *(leeway_by_clock(run, _LIFETIME, first) for _ in range(_REPEATS - 1))]
    doubled = leeway_by_clock(run, 2 * _LIFETIME)
    return replace(judge_kind(repeated, doubled), at_once=at_once)


def _keeps_tokens(run: ContractRun) -> bool:
    """Return whether a new client uses a fresh token again."""
    with _session(run, PROBE_LIFETIME) as session:
        kept = _second_token(session)
        session.advance(0 if run.time.is_virtual else PROBE_AGE)
        return session.use().token == kept


def judge_kind(repeated: Sequence[float], doubled: float) -> Leeway:
    """Return the leeway of these values at a lifetime of 3600 s, and of that at 7200 s.

    A jittered leeway differs from client to client; a proportional one grows with the lifetime.
    """
    low, high = min(repeated), max(repeated)
    # Less than the step of the search: the client waits until the token has expired.
    if high < 1 and doubled < 1:
        return Leeway(0.0, 0.0, "none")
    if high - low > _SAME:
        return Leeway(min(low, doubled), max(high, doubled), "jittered")
    if abs(doubled - high) <= _SAME:
        return Leeway(low, high, "fixed")
    if abs(doubled - 2 * high) <= 2 * _SAME:
        return Leeway(low, high, "proportional")
    return Leeway(min(low, doubled), max(high, doubled), "jittered")


def leeway_by_clock(run: ContractRun, lifetime: int, guess: float | None = None) -> float:
    """Return how many seconds before expiry a new client has a new token; 0 if after.

    The value for a client that keeps no token is the whole lifetime. A correct ``guess`` is
    confirmed, which takes fewer clients than a search. It is confirmed several times, because a
    jittered leeway may agree by chance.
    """

    def refreshed(age: int) -> bool:
        with _session(run, lifetime) as session:
            kept = _second_token(session)
            session.advance(age)
            return session.use_replaces(kept)

    def confirmed(due: int) -> bool:
        return (due == lifetime or refreshed(due)) and (due == 0 or not refreshed(due - 1))

    if guess is not None and all(confirmed(int(lifetime - guess)) for _ in range(_CONFIRMATIONS)):
        return guess
    # A token that is refreshed at one age is refreshed at every later age, so halving finds the
    # first such age.
    return float(lifetime - bisect.bisect_left(range(lifetime), 1, key=refreshed))


def leeway_at_once(run: ContractRun) -> float | None:
    """Return the longest lifetime, in seconds, that a new client treats as expired.

    It needs no clock, so it works for any client. The value is meaningless for clients that never
    cache, read milliseconds, jitter, or compare in the wrong direction; it is 0 for proportional
    leeways. None if the client cannot be used with some lifetime.
    """

    def kept(lifetime: int) -> bool:
        with _session(run, lifetime) as session:
            return _second_token(session) == session.use().token

    try:
        return float(bisect.bisect_left(range(1, _LIFETIME), 1, key=kept))
    except NotTested:
        return None


def _session(run: ContractRun, lifetime: float) -> ClientSession:
    """Return a session whose tokens have that lifetime, in seconds."""
    return ClientSession(
        run, clauses.refresh.AHEAD, credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=_STEADY
    )


def _second_token(session: ClientSession) -> AccessToken | None:
    """Use the client twice, and return the token of the second use."""
    session.use_well()  # some clients send one token request too many at their first use
    return session.use_well().token
