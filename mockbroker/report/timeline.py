"""The timeline of a reproduction: the lifetimes and uses of its tokens, computed from its steps.

It is computed from the steps alone, without any text.

It holds numbers only. `mockbroker.report.html_page` scales and draws them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mockbroker.report.steps import (
    ClientMade,
    ClientUsed,
    ClientUsedAtOnce,
    GotToken,
    Step,
    TimePassed,
)

__all__ = ["Timeline", "TokenLife", "TokenUse", "timeline_of"]

# The value of `TokenState.VALID`; steps hold states as strings.
_VALID = "valid"


@dataclass(frozen=True, slots=True)
class TokenUse:
    """A use of a token, ``at_seconds`` after the beginning of the reproduction."""

    at_seconds: float
    state: str

    @property
    def is_late(self) -> bool:
        """Whether the token was no longer valid."""
        return self.state != _VALID


@dataclass(frozen=True, slots=True)
class TokenLife:
    """A token: its time of issue and its lifetime, in seconds, and its uses.

    ``issued_at_seconds`` counts from the beginning of the reproduction.
    """

    token: int
    issued_at_seconds: float
    expires_in: float
    uses: tuple[TokenUse, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The tokens of a reproduction, and its duration in seconds."""

    lives: tuple[TokenLife, ...] = ()
    seconds: float = 0.0


def timeline_of(steps: Iterable[Step]) -> Timeline:
    """Compute the lifetime and the uses of each token, in the order of issue.

    Time passes by `TimePassed` steps and by the client's own waits, never by the real duration.

    A token that was used but never issued in these steps is left out.
    """
    now = 0.0
    issued: dict[int, tuple[float, float]] = {}
    uses: dict[int, list[TokenUse]] = {}
    for step in steps:
        if isinstance(step, TimePassed):
            now += step.seconds
        if isinstance(step, (ClientMade, ClientUsed, ClientUsedAtOnce)):
            for token in step.issued:
                issued.setdefault(token.token, (now + token.after_seconds, token.expires_in))
        if isinstance(step, ClientUsed):
            # A token is issued some seconds into the step and presented at its end.
            now += step.waited_seconds
            if isinstance(step.outcome, GotToken):
                use = TokenUse(now, step.outcome.state)
                uses.setdefault(step.outcome.token, []).append(use)
    lives = (
        TokenLife(number, *life, tuple(uses.get(number, ()))) for number, life in issued.items()
    )
    return Timeline(tuple(lives), now)
