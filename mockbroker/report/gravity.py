"""The order of breaches in every format: what costs most in production comes first."""

from __future__ import annotations

from mockbroker.contract.clause import Impact, Level
from mockbroker.contract.clauses import cache, secrecy, signing, tls

__all__ = ["Gravity", "gravity_of", "is_at_least"]

# The order of the members is their rank: costliest first, most binding first.
_IMPACTS, _LEVELS = list(Impact), list(Level)
# Their breach gives a secret, a token or another customer's data to a stranger who has no access
# to the client. Of equal impact and level they come first, in this order.
_EXPLOITABLE_FROM_OUTSIDE = (
    tls.VERIFY.id,
    secrecy.REDIRECT.id,
    cache.ISOLATION.id,
    signing.CROSS_ORIGIN.id,
)

Gravity = tuple[bool, int, int, int]
"""A sort key: the lower, the graver."""


def gravity_of(clause_id: str, level: Level, impact: Impact, fail_on: Level) -> Gravity:
    """Return the sort key of a breach: binding clauses first, then by impact and by level."""
    rank = (
        _EXPLOITABLE_FROM_OUTSIDE.index(clause_id)
        if clause_id in _EXPLOITABLE_FROM_OUTSIDE
        else len(_EXPLOITABLE_FROM_OUTSIDE)
    )
    return (
        not is_at_least(level, fail_on),
        _IMPACTS.index(impact),
        _LEVELS.index(level),
        rank,
    )


def is_at_least(level: Level, fail_on: Level) -> bool:
    """Return whether a level binds in a run that fails from ``fail_on`` on."""
    return _LEVELS.index(level) <= _LEVELS.index(fail_on)
