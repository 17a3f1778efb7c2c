"""Clients whose one defect shows only after several things have happened."""

from __future__ import annotations

from typing import Any

from examples.model_client import TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks


@breaks(clauses.signing.REVOKED, clauses.cache.THREAD_SAFE, clauses.refresh.SINGLE_LIVE_TOKEN)
class CannotLoseATokenTwice(TokenManager):
    lost = 0

    def discard(self, value: str) -> None:
        self.lost += 1
        if self.lost > 1:
            raise TokenError("lost again")
        super().discard(value)


@breaks(clauses.lifecycle.LIFECYCLE)
class TakesNoShorterLifetimeThanBefore(TokenManager):
    longest = 0.0

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        lifetime = super()._lifetime_of(members)
        if 600 < lifetime < self.longest:
            raise TokenError("the broker's clock must be wrong")
        self.longest = max(self.longest, lifetime)
        return lifetime


@breaks(clauses.lifecycle.LIFECYCLE, clauses.refresh.SAME_TOKEN)
class TiresAfterFiveTokens(TokenManager):
    fetched = 0

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        lifetime = super()._lifetime_of(members)
        self.fetched += 1
        if self.fetched > 5 and lifetime > 600:
            raise TokenError("enough tokens for today")
        return lifetime
