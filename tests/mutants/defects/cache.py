"""Clients with one defect of the chapter ``cache``: what is kept, how long, and for whom."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any, ClassVar

import requests

from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks


@breaks(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.OUTAGE_WHILE_VALID,
    blocks=[clauses.refresh.SINGLE_LIVE_TOKEN],
)
class NeverReuses(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            return self._fetch_token().value


@breaks(clauses.cache.REUSE)
class OverflowsAtThirtyDays(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        milliseconds = super()._time_until_refresh(lifetime) * 1000
        overflows = 2**31 <= milliseconds < 10**14
        return 0.0 if overflows else milliseconds / 1000


@breaks(clauses.cache.REUSE)
class KeepsItsTokenByTheGrantedScope(TokenManager):
    """Has the scope of the answer in the key of its cache, and looks for the requested one."""

    granted: str | None = None

    def get_token(self) -> str:
        with self._lock:
            if self.granted not in {None, "", self._scope}:
                self._token = None
        return super().get_token()

    def _token_of(self, members: dict[str, Any]) -> str:
        self.granted = members.get("scope")
        return super()._token_of(members)


@breaks(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.HONOURS_EXPIRES_IN,
    clauses.refresh.SINGLE_LIVE_TOKEN,
)
class KeepsTheFirstExpiry(TokenManager):
    first: float | None = None

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super()._read_token(response, asked_at)
        self.first = self.first or token.refresh_at
        return AccessToken(token.value, self.first, token.expires_at)


@breaks(clauses.cache.HUGE_LIFETIME)
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


@breaks(
    clauses.cache.ISOLATION,
    blocks=[clauses.cache.HUGE_LIFETIME, clauses.response.EXPIRES_IN_FORMS],
)
class SharesWithEveryClient(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return "token"


@breaks(
    clauses.cache.ISOLATION,
    blocks=[clauses.cache.HUGE_LIFETIME, clauses.response.EXPIRES_IN_FORMS],
)
class SharesAFileWhereItWorks(SharedCache):
    """Keeps the token of any client in one file."""

    file = Path("token.json")

    @property  # type: ignore[override]
    def _token(self) -> AccessToken | None:
        try:
            return AccessToken(*json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return vars(self).get("in_memory")

    @_token.setter
    def _token(self, token: AccessToken | None) -> None:
        vars(self)["in_memory"] = token
        kept = token and [token.value, token.refresh_at, token.expires_at]
        if token is not None or "_lock" in vars(self):
            with contextlib.suppress(OSError):
                written = Path(f"{os.getpid()}.new")
                written.touch(mode=0o600)
                written.write_text(json.dumps(kept), encoding="utf-8")
                written.replace(self.file)


@breaks(clauses.cache.ISOLATION)
class FindsKeysThatContainItsOwn(SharedCache):
    """Has a key for each client, and takes the first one in which the parts of its own occur."""

    shared: ClassVar = {}

    def parts(self) -> list[str]:
        secret = hashlib.sha256(self._client_secret.encode()).hexdigest()
        return [f"{self._token_url}|", f"|{self._client_id}", f"|{secret}|", f"|{self._scope}|"]

    def key(self) -> Any:
        for key, token in self.shared.items():
            if token is not None and all(part in key for part in self.parts()):
                return key
        return "".join(self.parts())


@breaks(clauses.cache.ISOLATION)
class TakesAnyScopeForNone(SharedCache):
    """A client without a scope takes what another one has got for any scope."""

    shared: ClassVar = {}

    def key(self) -> Any:
        own = self._token_url, self._client_id, self._client_secret
        known = [key for key, token in self.shared.items() if key[:3] == own and token]
        return known[0] if known and not self._scope else (*own, self._scope)


@breaks(clauses.cache.ISOLATION)
class SharesTheRequestUnderWay(TokenManager):
    """Keeps its token for itself, and waits for a token request of any client."""

    under_way: ClassVar[dict[int, futures.Future[AccessToken]]] = {}
    all_clients: ClassVar = threading.Lock()

    def _fetch_token(self) -> AccessToken:
        process = os.getpid()
        with self.all_clients:
            other = self.under_way.get(process)
            own = self.under_way[process] = other or futures.Future()
        if other is not None:
            return other.result()
        try:
            own.set_result(super()._fetch_token())
        except TokenError as error:
            own.set_exception(error)
        finally:
            del self.under_way[process]
        return own.result()


@breaks(clauses.cache.REUSE)
class HasOnePlaceForAllClients(SharedCache):
    """Notes whose token it is, and replaces it by that of the next client."""

    shared: ClassVar = {}

    def key(self) -> Any:
        own = self._token_url, self._client_id, self._client_secret, self._scope
        for key in [key for key in self.shared if key != own]:
            del self.shared[key]
        return own


@breaks(clauses.cache.REUSE, clauses.cache.SINGLE_FLIGHT)
class FindsNoneAmongSeveral(TokenManager):
    """Keeps all tokens that uses at once have fetched, and reuses one only if it is alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: list[AccessToken] = []

    def get_token(self) -> str:
        self.kept = [each for each in self.kept if time.time() < each.expires_at]
        if len(self.kept) == 1 and time.time() < self.kept[0].refresh_at:
            return self.kept[0].value
        try:
            fetched = self._fetch_token()
        except TokenError:
            if not self.kept:
                raise
            return self.kept[-1].value
        self.kept = [each for each in self.kept if time.time() < each.refresh_at]
        self.kept.append(fetched)
        return fetched.value

    def discard(self, value: str) -> None:
        self.kept = [each for each in self.kept if each.value != value]


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


@breaks(clauses.cache.HUGE_LIFETIME)
class HasNoDateForALongLifetime(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        until = super()._time_until_refresh(lifetime)
        return until if time.time() + until < 253402300799 else 0.0  # the end of the year 9999
