"""Clients with one defect of the chapter ``cache``."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path
from typing import Any, ClassVar

from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks


@breaks(clauses.cache.REUSE, clauses.cache.SINGLE_FLIGHT, clauses.refresh.OUTAGE_WHILE_VALID)
class NeverReuses(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            return self._fetch_token().value


@breaks(clauses.cache.REUSE)
class OverflowsAtThirtyDays(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        milliseconds = super()._time_until_refresh(lifetime) * 1000
        return milliseconds / 1000 if milliseconds < 2**31 else 0.0


@breaks(clauses.cache.REUSE)
class FailsForALongLifetime(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        if lifetime > 1e11:
            raise OverflowError("date value out of range")
        return super()._time_until_refresh(lifetime)


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


@breaks(clauses.cache.ISOLATION)
class SharesByTokenUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url


@breaks(clauses.cache.ISOLATION)
class SharesByClientIdAndUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._scope


@breaks(clauses.cache.ISOLATION)
class SharesAcrossScopes(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._client_secret


@breaks(clauses.cache.ISOLATION, blocks=[clauses.response.EXPIRES_IN_FORMS])
class SharesByClientId(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._client_id


@breaks(clauses.cache.ISOLATION, blocks=[clauses.response.EXPIRES_IN_FORMS])
class SharesWithEveryClient(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return "token"


@breaks(clauses.cache.ISOLATION, blocks=[clauses.response.EXPIRES_IN_FORMS])
class SharesAFileWhereItWorks(SharedCache):
    """Keeps the token of any client in one file."""

    file = Path("token.json")

    @property  # type: ignore[override]
    def _token(self) -> AccessToken | None:
        try:
            return AccessToken(*json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @_token.setter
    def _token(self, token: AccessToken | None) -> None:
        kept = token and [token.value, token.refresh_at, token.expires_at]
        if token is not None or "_lock" in vars(self):
            self.file.touch(mode=0o600)
            self.file.write_text(json.dumps(kept), encoding="utf-8")


class LocalTime(TokenManager):
    """Keeps time by naive datetimes."""

    replaced_at: datetime.datetime | None = None

    def now_for_issue(self) -> datetime.datetime:
        return datetime.datetime.now()  # noqa: DTZ005 - the defect

    def now_for_use(self) -> datetime.datetime:
        return datetime.datetime.now()  # noqa: DTZ005 - the defect

    def get_token(self) -> str:
        with self._lock:
            if self.replaced_at is None or self.now_for_use() >= self.replaced_at:
                self._token = None
            if self._token is None:
                asked_at = self.now_for_issue()
                self._token = self._fetch_token()
                life = self._token.refresh_at - self._token.expires_at + self.lifetime
                try:
                    self.replaced_at = asked_at + datetime.timedelta(seconds=life)
                except OverflowError:
                    self.replaced_at = datetime.datetime.max  # noqa: DTZ901
            return self._token.value

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        self.lifetime = super()._lifetime_of(members)
        return self.lifetime


@breaks(clauses.cache.REUSE, clauses.refresh.OUTAGE_WHILE_VALID)
class IsHoursAheadOfItself(LocalTime):
    def now_for_use(self) -> datetime.datetime:
        return datetime.datetime.utcnow()  # noqa: DTZ003 - the defect


class Unlocked(TokenManager):
    """Lets threads in while one of them fetches."""

    busy = False

    def meanwhile(self) -> str:
        raise NotImplementedError

    def get_token(self) -> str:
        if self.busy:
            return self.meanwhile()
        self.busy = True
        try:
            return super().get_token()
        finally:
            self.busy = False


@breaks(clauses.cache.THREAD_SAFE, blocks=[clauses.cache.SINGLE_FLIGHT])
class RefusesWhileItFetches(Unlocked):
    def meanwhile(self) -> str:
        raise TokenError("a token is being fetched")


@breaks(clauses.cache.THREAD_SAFE, blocks=[clauses.cache.SINGLE_FLIGHT])
class GivesOutTheOldTokenMeanwhile(Unlocked):
    def meanwhile(self) -> str:
        return self._token.value if self._token else ""


class NoLock:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@breaks(clauses.cache.SINGLE_FLIGHT)
class HasNoLock(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = NoLock()  # type: ignore[assignment]


@breaks(clauses.cache.SINGLE_FLIGHT)
class LocksTooLate(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = NoLock()  # type: ignore[assignment]
        self._sending = threading.Lock()

    def _fetch_token(self) -> AccessToken:
        with self._sending:
            return super()._fetch_token()
