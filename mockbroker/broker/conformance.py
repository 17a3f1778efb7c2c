"""Observed traffic: its counts and the clauses that it breaks.

A tally grows with each exchange, so that it also counts those that the journal has dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Level
from mockbroker.contract.judging import judge_trace
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.profile import Profile

__all__ = ["Tally", "breaches_at", "is_binding"]

BINDING = (Level.MUST, Level.SHOULD, Level.MAY, Level.PRACTICE)
"""The levels from the most to the least binding: the words of RFC 2119, then mere experience."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of exchanges; ``tokens`` are those issued.

    Requests to other paths are not counted: they reach neither endpoint.
    """

    token_requests: int = 0
    api_calls: int = 0
    tokens: int = 0

    def plus(self, exchange: Exchange) -> Tally:
        """Return the tally with one more exchange."""
        asked = exchange.endpoint is Endpoint.TOKEN
        return Tally(
            self.token_requests + asked,
            self.api_calls + (exchange.endpoint is Endpoint.API),
            self.tokens + (asked and exchange.token is not None),
        )

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> Tally:
        """Count exchanges."""
        tally = cls()
        for exchange in exchanges:
            tally = tally.plus(exchange)
        return tally

    def __str__(self) -> str:
        counted = {
            "token request": self.token_requests,
            "API call": self.api_calls,
            "token": self.tokens,
        }
        return ", ".join(f"{n} {name}" + ("s" if n != 1 else "") for name, n in counted.items())


def is_binding(clause_id: str, fail_on: Level) -> bool:
    """Return whether a clause is at least as binding as ``fail_on``."""
    return BINDING.index(clause_named(clause_id).level) <= BINDING.index(Level(fail_on))


def breaches_at(trace: Trace, fail_on: Level, profile: Profile) -> tuple[Breach, ...]:
    """Return the breaches in a trace of the profile's clauses at least as binding as ``fail_on``.

    They are in the order of the exchanges: breaches of single messages first, then those that
    several messages show together.
    """
    return tuple(b for b in judge_trace(trace, profile) if is_binding(b.clause_id, fail_on))
