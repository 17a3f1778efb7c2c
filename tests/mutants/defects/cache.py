"""Clients with one defect of the chapter ``cache``."""

from __future__ import annotations

from typing import Any, ClassVar

from examples.model_client import AccessToken, TokenManager
from tests.mutants.workshop import breaks


@breaks("cache.reuse")
class NeverReuses(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            return self.fetch_token().value


@breaks("cache.reuse")
class OverflowsAtThirtyDays(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        milliseconds = super().time_until_refresh(lifetime) * 1000
        return milliseconds / 1000 if milliseconds < 2**31 else 0.0


@breaks("cache.reuse")
class FailsForALongLifetime(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        if lifetime > 1e11:
            raise OverflowError("date value out of range")
        return super().time_until_refresh(lifetime)


class SharedCache(TokenManager):
    """Token managers that share what they fetched, by a key."""

    shared: ClassVar[dict[Any, AccessToken | None]] = {}

    def key(self) -> Any:
        raise NotImplementedError

    @property  # type: ignore[override]
    def _token(self) -> AccessToken | None:
        return self.shared.get(self.key())

    @_token.setter
    def _token(self, token: AccessToken | None) -> None:
        if token is not None or "_lock" in vars(self):
            self.shared[self.key()] = token


@breaks("cache.isolation")
class SharesByTokenUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url


@breaks("cache.isolation")
class SharesByClientIdAndUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._scope


@breaks("cache.isolation")
class SharesAcrossScopes(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._client_secret
