"""Measured lifetimes: how long a client really uses a token, and the mistake that explains it.

Measured only after a breach, because it takes some dozens of new clients.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable

from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import (
    Diagnosis,
    LifetimeFacts,
    ObservedLife,
    diagnose_lifetimes,
)
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.run import ContractRun

__all__ = ["diagnosed_by_lifetimes", "replaced_after"]

_CREDENTIALS = Credentials("lifetime-client", "lifetime-s3cret")
# Above any usual leeway. Not multiples of one another by 60 or 1000, which are the factors between
# units.
_LIVES = (1200, 3600, 7200)
# Above any usual leeway even if it is read as milliseconds.
_LONG_LIVES = (1_200_000, 3_600_000, 7_200_000)
_SHORT = 0.05
"""The part of a lifetime below which the life is measured again with long lifetimes."""
_LONGEST = 1100
"""The longest life that is looked for, in lifetimes: milliseconds make it a thousand times."""
# The measurement uses tokens of every age, so it would show breaches of these.
_MEASURED = [
    clauses.refresh.HONOURS_EXPIRES_IN,
    clauses.refresh.NOT_TOO_EAGER,
    clauses.response.EXPIRES_IN_UNIT,
]


def diagnosed_by_lifetimes(run: ContractRun, operation: str) -> Diagnosis | None:
    """Return the mistake that explains how long the client uses its tokens; None if unknown.

    Raises NotTested if the client fails in the measurement.
    """
    if not run.time.is_virtual:
        return None
    return diagnose_lifetimes(_facts(run, operation))


def _facts(run: ContractRun, operation: str) -> LifetimeFacts:
    first = _LIVES[0]
    is_expired_kept = not _is_replaced(run, operation, first, first + 1)
    age = replaced_after(run, operation, first)
    # A leeway is shorter where the life is short, so only long lives show the unit then.
    is_short = age is not None and age < _SHORT * first and not is_expired_kept
    lives = tuple(
        ObservedLife(life, replaced_after(run, operation, life))
        for life in (_LONG_LIVES if is_short else _LIVES)
    )
    return LifetimeFacts(lives, is_expired_kept, _second_life(run, operation))


def replaced_after(
    run: ContractRun, operation: str, lifetime: float, longest: float | None = None
) -> float | None:
    """Return the age in seconds at which a new client replaces its token, to a tenth.

    None if it does not until the token is ``longest`` seconds old, by default 1100 lifetimes.
    """
    return _first_age(
        lambda age: _is_replaced(run, operation, lifetime, age),
        longest or _LONGEST * lifetime,
    )


def _first_age(is_replaced: Callable[[float], bool], longest: float) -> float | None:
    """Return the least age for which the function returns True, by halving; None without one."""
    # Asked first: a client that replaces what is fresh may keep what is old.
    if is_replaced(0):
        return 0.0
    tenths = int(longest * 10)
    least = bisect.bisect_left(range(tenths + 1), 1, key=lambda tenth: is_replaced(tenth / 10))
    return None if least > tenths else least / 10


def _is_replaced(run: ContractRun, operation: str, lifetime: float, age: float) -> bool:
    """Return whether a new client replaces its token at that age."""
    with _session(run, lifetime) as session:
        kept = _second_token(session, operation)
        session.advance(age)
        return session.use_replaces(kept, operation)


def _second_life(run: ContractRun, operation: str) -> ObservedLife:
    """Measure the second token of a client, whose lifetime is longer than that of the first."""
    first, second = _LIVES[0], _LIVES[-1]

    def is_replaced(age: float) -> bool:
        with _session(run, first) as session:
            session.use_well(operation)
            session.advance(first + 1)
            session.issue_with(second)
            # A client may use its old token once more while it requests the next one.
            kept = _second_token(session, operation)
            session.advance(age)
            return session.use_replaces(kept, operation)

    return ObservedLife(second, _first_age(is_replaced, 2 * second))


def _session(run: ContractRun, lifetime: float) -> ClientSession:
    return ClientSession(
        run,
        clauses.refresh.AHEAD,
        credentials=_CREDENTIALS,
        expires_in=lifetime,
        elsewhere=_MEASURED,
    )


def _second_token(session: ClientSession, operation: str) -> AccessToken | None:
    """Use the client twice, and return the token of the second use."""
    session.use_well(operation)  # some clients send one token request too many at their first use
    return session.use_well(operation).token
