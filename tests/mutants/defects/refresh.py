"""Clients with one defect of the chapter ``refresh``."""

from __future__ import annotations

import time
from typing import Any

from examples.model_client import AccessToken, TokenError, TokenManager
from tests.mutants.workshop import OwnClock, Sender, breaks


@breaks("refresh.honours-expires-in", "refresh.ahead", "refresh.latency", "refresh.same-grant")
class NeverRefreshes(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return 1e12


@breaks("refresh.honours-expires-in", "refresh.ahead", "refresh.latency")
class AddsTheLeeway(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime + 30


@breaks("refresh.honours-expires-in")
class KnowsOnlyOneLifetime(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return 3300.0


@breaks("refresh.honours-expires-in")
class TakesZeroForNoExpiry(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return super().time_until_refresh(lifetime) if lifetime else 1e9


@breaks("refresh.ahead")
class HasNoLeeway(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime


@breaks("refresh.not-too-eager")
class ReadsMilliseconds(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 1000 - 0.001


@breaks("refresh.not-too-eager", "refresh.ahead", "refresh.latency")
class ReadsMillisecondsByItsOwnClock(OwnClock):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 1000


@breaks("refresh.not-too-eager")
class RefreshesAfterAFifth(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 5


@breaks("refresh.short-lived")
class RaisesForShortLifetimes(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        if lifetime <= 30:
            raise TokenError("the token is about to expire")
        return super().time_until_refresh(lifetime)


@breaks("refresh.short-lived")
class FetchesUntilItIsLongEnough(TokenManager):
    def fetch_token(self) -> AccessToken:
        for _ in range(3):
            token = super().fetch_token()
            if token.refresh_at > time.time():
                break
        return token


@breaks("refresh.latency")
class CountsFromArrival(TokenManager):
    def fetch_token(self) -> AccessToken:
        response = self.send_token_request()
        return self.read_token(response, time.time())

    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 1


@breaks("refresh.same-grant")
class UsesTheRefreshToken(Sender):
    refresh_token = ""

    def token_of(self, members: dict[str, Any]) -> str:
        self.refresh_token = members.get("refresh_token", "")
        return super().token_of(members)

    def token_parameters(self) -> dict[str, str]:
        if self.refresh_token:
            return {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return super().token_parameters()
