"""Diagnoses: from measured facts about a client to the known mistake that explains them.

Pure functions of numbers that a contract run has measured. A mistake is named only if the numbers
match it and nothing simpler explains them: a wrong name costs more than a missing one. The words
for each mistake stand in `mockbroker.report.wording`. Mistakes that a single request shows are
named by `mockbroker.contract.hints`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

__all__ = [
    "Diagnosis",
    "LifetimeFacts",
    "Mistake",
    "ObservedLife",
    "diagnose_lifetimes",
    "hinted",
]


class Mistake(str, enum.Enum):
    """A mistake that clients are known to make. The values are part of the JSON report's schema.

    ``HINTED`` is a mistake in a request, which the broker's hint describes.
    """

    HINTED = "hinted"
    MILLISECONDS = "expires-in-read-as-milliseconds"
    PER_MINUTE = "expires-in-divided-by-60"
    EXPIRY_IN_MILLISECONDS = "expires-in-multiplied-by-1000"
    MINUTES = "expires-in-read-as-minutes"
    LEEWAY_ADDED = "leeway-added-instead-of-subtracted"
    LATE_COMPARISON = "used-at-the-moment-of-expiry"
    FIXED_LIFETIME = "fixed-lifetime"
    FIRST_LIFETIME = "lifetime-of-the-first-token-kept"
    FIRST_EXPIRY = "expiry-of-the-first-token-kept"
    INVERTED = "comparison-with-the-expiry-inverted"
    NO_EXPIRY = "age-of-the-token-ignored"
    LOCAL_TIME = "expiry-in-local-time"
    OTHER_CLOCK = "expiry-by-the-clock-of-the-broker"
    STALE_WHILE_REFRESHING = "old-token-used-while-it-is-refreshed"
    NO_KEY = "cache-without-a-key"
    KEY_WITHOUT = "cache-key-without-a-setting"


class Diagnosis(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """The likely mistake behind a breach.

    ``seconds`` is the measured number of a mistake about time. ``setting`` is what the key of a
    cache lacks. ``hint`` describes a mistake in a request, secrets masked.
    """

    mistake: Mistake
    seconds: float | None = None
    setting: str = ""
    hint: str = ""


def hinted(hint: str) -> Diagnosis | None:
    """Return the diagnosis for a hint on a request; None for an empty one."""
    return Diagnosis(mistake=Mistake.HINTED, hint=hint) if hint else None


@dataclass(frozen=True, slots=True)
class ObservedLife:
    """The age in seconds at which a client replaced a token with that lifetime.

    None if it was still used at a thousand times its lifetime.
    """

    expires_in: float
    replaced_after: float | None


@dataclass(frozen=True, slots=True)
class LifetimeFacts:
    """When new clients replaced their tokens, in the order of the lifetimes.

    ``is_expired_kept`` says whether a token was used after its expiry. ``second`` is the second
    token of a client, whose first one had the lifetime of the first of the ``lives``.
    """

    lives: tuple[ObservedLife, ...]
    is_expired_kept: bool
    second: ObservedLife | None = None


# The largest usual leeway. A larger difference has another cause.
_MAX_LEEWAY = 600.0
# Clients round to full seconds.
_SAME_SECONDS = 1.5
_SAME_RATIO = 0.002
# By the factor between the seconds of a token's life and its expires_in. A leeway of up to a fifth
# shortens a life further.
_UNITS = (
    (1 / 1000, Mistake.MILLISECONDS),
    (1 / 60, Mistake.PER_MINUTE),
    (60, Mistake.MINUTES),
    (1000, Mistake.EXPIRY_IN_MILLISECONDS),
)
_LEAST_OF_UNIT = 0.8


def diagnose_lifetimes(facts: LifetimeFacts) -> Diagnosis | None:
    """Return the mistake that explains when the tokens were replaced, or None.

    A token that is used until shortly before its expiry, whatever the leeway, has none.
    """
    ages = [life.replaced_after for life in facts.lives]
    if not any(age is None or age > 0 for age in ages):
        # Fresh tokens are replaced at once, which no leeway explains if expired ones are kept.
        return Diagnosis(mistake=Mistake.INVERTED) if facts.is_expired_kept else None
    if all(age is None for age in ages):
        return Diagnosis(mistake=Mistake.NO_EXPIRY)
    points = [(life.expires_in, age) for life, age in zip(facts.lives, ages) if age]  # noqa: B905
    if len(points) < len(ages):
        return None
    return _fixed(points) or _scaled(points) or _of_first(facts)


def _fixed(points: Sequence[tuple[float, float]]) -> Diagnosis | None:
    """Recognize lives that do not depend on expires_in."""
    ages = [age for _, age in points]
    if max(ages) - min(ages) > _SAME_SECONDS:
        return None
    return Diagnosis(mistake=Mistake.FIXED_LIFETIME, seconds=_rounded(min(ages)))


def _scaled(points: Sequence[tuple[float, float]]) -> Diagnosis | None:
    """Recognize lives that are a multiple of expires_in, or longer by a leeway."""
    line = _line_through(points)
    if line is None:
        return None
    slope, offset = line
    if abs(offset) > _MAX_LEEWAY + _SAME_SECONDS:
        return None
    for factor, mistake in _UNITS:
        if _LEAST_OF_UNIT * factor <= slope <= factor * (1 + _SAME_RATIO) and offset <= 1:
            return Diagnosis(mistake=mistake)
    longer = points[0][1] - points[0][0]
    if abs(slope - 1) <= _SAME_RATIO and 0 < offset <= 1:
        return Diagnosis(mistake=Mistake.LATE_COMPARISON)
    # A leeway that is a part of the lifetime is up to half of it.
    if 1 - _SAME_RATIO <= slope <= 1.5 and longer > 1 and offset >= -1:  # noqa: PLR2004
        return Diagnosis(mistake=Mistake.LEEWAY_ADDED, seconds=_rounded(longer))
    return None


def _line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the slope and the offset of the line through all points; None if there is none."""
    (start, first), *_, (end, last) = points
    slope = (last - first) / (end - start)
    offset = first - slope * start
    # All of them, because any two points have a line.
    if any(abs(slope * x + offset - y) > _SAME_SECONDS for x, y in points):
        return None
    return slope, offset


def _of_first(facts: LifetimeFacts) -> Diagnosis | None:
    """Recognize a second token that is treated by the lifetime or the expiry of the first."""
    first, second = facts.lives[0], facts.second
    if second is None or first.replaced_after is None or first.replaced_after > first.expires_in:
        return None
    if second.replaced_after == 0:
        return Diagnosis(mistake=Mistake.FIRST_EXPIRY)
    age = second.replaced_after
    if age is not None and abs(age - first.replaced_after) <= _SAME_SECONDS:
        return Diagnosis(mistake=Mistake.FIRST_LIFETIME, seconds=_rounded(age))
    return None


def _rounded(seconds: float) -> float:
    """Return the seconds as the measurement knows them, to a tenth."""
    return round(seconds, 1)
