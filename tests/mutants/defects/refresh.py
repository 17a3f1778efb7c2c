"""Clients with one defect of the chapter ``refresh``."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import Profile, Quota
from tests.mutants.defects.cache import LocalTime
from tests.mutants.workshop import MakesDo, OwnClock, Sender, breaks

_BLOCKED_BY_EXPIRY = [
    clauses.refresh.CLOCK_CHANGES,
    clauses.refresh.AHEAD,
    clauses.refresh.LATENCY,
    clauses.refresh.SAME_TOKEN,
]


@breaks(
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=[
        *_BLOCKED_BY_EXPIRY,
        clauses.refresh.ZERO_LIFETIME,
        clauses.refresh.SAME_GRANT,
        clauses.refresh.OFFERED_REFRESH_TOKEN,
        clauses.refresh.OUTAGE_WHILE_VALID,
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        clauses.refresh.RECOVERS,
        clauses.refresh.RECOVERS_AT_ONCE,
        clauses.errors.IDLE_CONNECTION,
    ],
)
class NeverRefreshes(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return 1e12


@breaks(
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=[
        *_BLOCKED_BY_EXPIRY,
        clauses.refresh.OUTAGE_WHILE_VALID,
        clauses.errors.IDLE_CONNECTION,
    ],
)
class AddsTheLeeway(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime + 30


@breaks(
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=[
        *_BLOCKED_BY_EXPIRY,
        clauses.refresh.ZERO_LIFETIME,
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        clauses.refresh.RECOVERS,
        clauses.refresh.RECOVERS_AT_ONCE,
    ],
)
class ServesAStaleTokenWhileItRenews(TokenManager):
    def get_token(self) -> str:
        stale = self._token
        if stale is None or time.time() < stale.refresh_at:
            return super().get_token()
        renewal = threading.Thread(target=self._renew)
        renewal.start()
        renewal.join()
        return stale.value

    def _renew(self) -> None:
        with contextlib.suppress(TokenError):
            super().get_token()


@breaks(
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=[clauses.refresh.ZERO_LIFETIME, clauses.refresh.SAME_TOKEN],
)
class KnowsOnlyOneLifetime(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return 3300.0


@breaks(clauses.refresh.ZERO_LIFETIME)
class TakesZeroForNoExpiry(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return super()._time_until_refresh(lifetime) if lifetime else 1e9


@breaks(clauses.refresh.AHEAD, blocks=[clauses.refresh.OUTAGE_WHILE_VALID])
class HasNoLeeway(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime


@breaks(clauses.refresh.AHEAD)
class HasNoLeewayForFiveMinutes(TokenManager):
    """Has a leeway of five minutes, and none for lifetimes that it would use up."""

    def _time_until_refresh(self, lifetime: float) -> float:
        return max(lifetime - 300, min(lifetime, 300))


@breaks(clauses.refresh.NOT_TOO_EAGER, clauses.response.EXPIRES_IN_UNIT)
class ReadsMilliseconds(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 1000 - 0.001


@breaks(
    clauses.refresh.NOT_TOO_EAGER,
    clauses.response.EXPIRES_IN_UNIT,
    clauses.refresh.AHEAD,
    clauses.refresh.LATENCY,
    blocks=[clauses.refresh.CLOCK_CHANGES, clauses.refresh.SINGLE_LIVE_TOKEN],
)
class ReadsMillisecondsByItsOwnClock(OwnClock):
    def _time_until_refresh(self, lifetime: float) -> float:
        # In whole seconds: a token that lives for milliseconds of real time is expired at the next
        # use or not, as the machine is busy or not.
        return lifetime // 1000


@breaks(clauses.refresh.NOT_TOO_EAGER)
class RefreshesAfterAFifth(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 5


@breaks(clauses.refresh.SHORT_LIVED, clauses.refresh.ZERO_LIFETIME)
class RaisesForShortLifetimes(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        if lifetime <= 30:
            raise TokenError("the token is about to expire")
        return super()._time_until_refresh(lifetime)


@breaks(clauses.refresh.SHORT_LIVED, clauses.refresh.ZERO_LIFETIME, clauses.refresh.SAME_TOKEN)
class FetchesUntilItIsLongEnough(TokenManager):
    def _fetch_token(self) -> AccessToken:
        for _ in range(3):
            token = super()._fetch_token()
            if token.refresh_at > time.time():
                break
        return token


@breaks(clauses.refresh.ZERO_LIFETIME)
class KeepsTheOldExpiryForZero(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if self._token is not None and not members.get("expires_in", 1):
            raise TokenError("the token has expired")
        return super()._lifetime_of(members)


@breaks(clauses.refresh.LATENCY)
class CountsFromArrival(TokenManager):
    def _fetch_token(self) -> AccessToken:
        response = self._send_token_request()
        return self._read_token(response, time.time())

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 1


@breaks(clauses.refresh.OFFERED_REFRESH_TOKEN)
class UsesTheRefreshToken(Sender):
    refresh_token = ""

    def _token_of(self, members: dict[str, Any]) -> str:
        self.refresh_token = members.get("refresh_token", "")
        return super()._token_of(members)

    def _token_parameters(self) -> dict[str, str]:
        if self.refresh_token:
            return {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return super()._token_parameters()


@breaks(clauses.refresh.OFFERED_REFRESH_TOKEN)
class WantsNoRefreshToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if "refresh_token" in members:
            raise TokenError("the auth-broker's answer has a refresh_token")
        return super()._token_of(members)


@breaks(clauses.refresh.LATENCY)
class HasLessLeewayThanItTakes(TokenManager):
    def _fetch_token(self) -> AccessToken:
        response = self._send_token_request()
        return self._read_token(response, time.time())

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 5


@breaks(clauses.refresh.CLOCK_CHANGES, clauses.refresh.OUTAGE_WHILE_VALID)
class ForgetsThatClocksGoBack(LocalTime):
    """Sound but for one night of the year."""


@breaks(clauses.refresh.CLOCK_CHANGES, clauses.refresh.OUTAGE_WHILE_VALID)
class IsHoursBehindItself(LocalTime):
    def now_for_issue(self) -> datetime.datetime:
        return datetime.datetime.utcnow()  # noqa: DTZ003 - the defect


@breaks(clauses.refresh.OUTAGE_WHILE_VALID)
class FailsAlthoughItsTokenIsGood(TokenManager):
    def _refreshed(self) -> AccessToken:
        return self._fetch_token()


@breaks(
    clauses.refresh.OUTAGE_WHILE_VALID,
    clauses.refresh.LATENCY,
    blocks=[clauses.refresh.CLOCK_CHANGES],
)
class FailsAlthoughItsTokenIsGoodByItsOwnClock(OwnClock):
    """It is judged in real time."""

    def _refreshed(self) -> AccessToken:
        return self._fetch_token()


@breaks(clauses.refresh.OUTAGE_WHILE_VALID)
class LetsGoOfItsTokenTooSoon(TokenManager):
    def _fetch_token(self) -> AccessToken:
        self._token = None
        return super()._fetch_token()


def is_outage(error: TokenError) -> bool:
    """Whether the broker was down, rather than refused."""
    return "status 5" in str(error) or "reached" in str(error)


REFUSING = Profile(name="refusing", token_policy="refuse")


@breaks(clauses.refresh.REFUSED_WHILE_VALID, profile=REFUSING)
class TakesARefusalForTheEnd(TokenManager):
    """It survives an outage, but not the answer of a provider that gives no second token."""

    def _refreshed(self) -> AccessToken:
        kept = self._token
        try:
            return self._fetch_token()
        except TokenError as error:
            if kept is not None and is_outage(error) and time.time() < kept.expires_at:
                return kept
            raise


@breaks(clauses.refresh.REFUSED_WHILE_VALID, clauses.refresh.OUTAGE_WHILE_VALID, profile=REFUSING)
class DropsItsTokenWhenRefused(TokenManager):
    def _refreshed(self) -> AccessToken:
        self._token = None
        return self._fetch_token()


LIMITED = Profile(name="limited", quotas=(Quota(requests=20, period_seconds=3600),))


@breaks(clauses.refresh.QUOTA, clauses.refresh.NOT_TOO_EAGER, profile=LIMITED)
class ReplacesItsTokenEveryTwoMinutes(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return min(super()._time_until_refresh(lifetime), 120)


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class MakesDoWithAnExpiredToken(MakesDo):
    def makes_do(self, error: TokenError) -> bool:
        return is_outage(error)


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class LeavesTheOldTokenToThoseThatWaited(TokenManager):
    """Raises where the refresh failed, and lets those that waited for it go on."""

    refreshes: threading.Event | None = None

    def get_token(self) -> str:
        with self._lock:
            if self._token is not None and time.time() < self._token.refresh_at:
                return self._token.value
            other = self.refreshes
            own = self.refreshes = other or threading.Event()
        if other is not None:
            other.wait()
            if self._token is None:
                raise TokenError("no token yet")
            return self._token.value
        try:
            self._token = self._refreshed()
        finally:
            self.refreshes = None
            own.set()
        return self._token.value


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class RestsBeyondTheExpiry(TokenManager):
    """Does not look at the clock for two minutes once a refresh has failed."""

    rests_until = 0.0

    def get_token(self) -> str:
        if self._token is not None and time.time() < self.rests_until:
            return self._token.value
        return super().get_token()

    def _refreshed(self) -> AccessToken:
        before = self._token
        token = super()._refreshed()
        if token is before:
            self.rests_until = time.time() + 120
        return token


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class MakesDoWithAnExpiredTokenAtA429(MakesDo):
    def makes_do(self, error: TokenError) -> bool:
        return "429" in str(error)


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class HoldsOnAtTheInstantOfExpiry(TokenManager):
    def _refreshed(self) -> AccessToken:
        try:
            return self._fetch_token()
        except TokenError:
            if self._token is not None and time.time() <= self._token.expires_at:
                return self._token
            raise


@breaks(clauses.refresh.OUTAGE_AFTER_EXPIRY)
class ReturnsNothingInAnOutage(TokenManager):
    def _refreshed(self) -> AccessToken:
        try:
            return super()._refreshed()
        except TokenError as error:
            if self._token is not None and is_outage(error):
                return AccessToken("", 0.0, 0.0)
            raise


class Breaker(TokenManager):
    """Does not ask again for a while, once it had a token and the broker was down."""

    rest_seconds = 60.0
    rests_until = 0.0

    def _fetch_token(self) -> AccessToken:
        if time.time() < self.rests_until:
            raise TokenError("the circuit is open")
        try:
            return super()._fetch_token()
        except TokenError as error:
            if self._token is not None and is_outage(error):
                self.rests_until = time.time() + self.rest_seconds
            raise


@breaks(clauses.refresh.RECOVERS_AT_ONCE)
class RestsForAMinute(Breaker):
    pass


@breaks(clauses.refresh.RECOVERS_AT_ONCE)
class RestsAfterSixFailures(Breaker):
    failures = 0

    def _fetch_token(self) -> AccessToken:
        try:
            token = super()._fetch_token()
        except TokenError:
            self.failures += 1
            if self.failures < 6:
                self.rests_until = 0.0
            raise
        self.failures = 0
        return token


@breaks(clauses.refresh.RECOVERS_AT_ONCE)
class WaitsLongerAfterEachFailure(TokenManager):
    """Waits before it asks again, within the call, and twice as long after each failure."""

    failures = 0

    def _fetch_token(self) -> AccessToken:
        if self.failures > 1:
            time.sleep(min(15.0, 2.0 ** (self.failures - 2)))
        try:
            token = super()._fetch_token()
        except TokenError:
            self.failures += 1
            raise
        self.failures = 0
        return token


# It waits in real time, where the leeway and local clocks do not show, and requests no token in an
# outage.
@breaks(
    clauses.refresh.OUTAGE_AFTER_EXPIRY,
    blocks=[
        clauses.refresh.CLOCK_CHANGES,
        clauses.refresh.AHEAD,
        clauses.refresh.LATENCY,
        clauses.refresh.OUTAGE_WHILE_VALID,
        clauses.refresh.RECOVERS,
        clauses.refresh.RECOVERS_AT_ONCE,
        clauses.errors.IDLE_CONNECTION,
    ],
)
class StopsRenewingAfterAFailure(TokenManager):
    """Renews its token in a thread only, which a failed token request ends."""

    process = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._closed = threading.Event()

    def get_token(self) -> str:
        with self._lock:
            if self._token is None or self._token.expires_at <= self._token.refresh_at:
                self._token = self._fetch_token()
            if self.process != os.getpid():
                self.process = os.getpid()
                threading.Thread(target=self._renew, daemon=True).start()
            return self._token.value

    def _renew(self) -> None:
        pause = 0.0
        while not self._closed.wait(max(0.05, pause)):
            with self._lock:
                token = self._token
                pause = token.refresh_at - time.time() if token else 0.0
                if token is None or pause > 0:
                    continue
                try:
                    self._token = self._fetch_token()
                except TokenError:
                    return

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - min(30.0, lifetime / 5)

    def close(self) -> None:
        self._closed.set()
        super().close()


@breaks(clauses.refresh.RECOVERS, blocks=[clauses.refresh.RECOVERS_AT_ONCE])
class NeverRecovers(Breaker):
    rest_seconds = 1e12


@breaks(clauses.refresh.RECOVERS, blocks=[clauses.refresh.RECOVERS_AT_ONCE])
class RestsForAnHour(Breaker):
    rest_seconds = 3600.0


@breaks(clauses.refresh.CLOCK_CHANGES)
class CountsFromTheBrokersDate(TokenManager):
    """Takes the time of issue from the broker's clock, and that of use from its own."""

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        with contextlib.suppress(KeyError):
            asked_at = parsedate_to_datetime(response.headers["Date"]).timestamp()
        return super()._read_token(response, asked_at)


@breaks(clauses.refresh.ZERO_LIFETIME, clauses.errors.BOUNDED)
class AsksAgainWhileTheLifetimeIsNegative(TokenManager):
    def _fetch_token(self) -> AccessToken:
        asked_at = time.time()
        token = super()._fetch_token()
        return token if token.expires_at >= asked_at else self._fetch_token()


@breaks(clauses.refresh.SAME_TOKEN)
class AsksUntilTheTokenIsAnother(TokenManager):
    def _fetch_token(self) -> AccessToken:
        for _ in range(3):
            token = super()._fetch_token()
            if self._token is None or token.value != self._token.value:
                break
        return token


@breaks(clauses.refresh.SAME_TOKEN)
class RefusesTheSameToken(TokenManager):
    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        if self._token is not None and token.value == self._token.value:
            self._token = None
            raise TokenError("the broker issued the old token again")
        return token


@breaks(clauses.refresh.SAME_TOKEN)
class CountsTheFirstLifetimeForTheSameToken(TokenManager):
    lifetimes: ClassVar[dict[str, float]] = {}

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super()._read_token(response, asked_at)
        life = self.lifetimes.setdefault(token.value, token.expires_at - asked_at)
        return AccessToken(token.value, asked_at + life - 30, asked_at + life)


@breaks(clauses.refresh.SAME_GRANT)
class RefreshesByItsAccessToken(Sender):
    def _token_parameters(self) -> dict[str, str]:
        if self._token is not None:
            return {"grant_type": "refresh_token", "refresh_token": self._token.value}
        return super()._token_parameters()


@breaks(
    clauses.refresh.SAME_GRANT,
    clauses.lifecycle.LIFECYCLE,
    blocks=[
        clauses.cache.REUSE,
        clauses.refresh.CLOCK_CHANGES,
        clauses.refresh.AHEAD,
        clauses.refresh.LATENCY,
        clauses.refresh.OUTAGE_WHILE_VALID,
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        clauses.refresh.RECOVERS,
        clauses.refresh.RECOVERS_AT_ONCE,
        clauses.refresh.SAME_TOKEN,
        clauses.refresh.SINGLE_LIVE_TOKEN,
        clauses.refresh.OFFERED_REFRESH_TOKEN,
        clauses.signing.BEARER,
        clauses.signing.HEADER_ONLY,
        clauses.signing.NO_CREDENTIALS,
        clauses.errors.IDLE_CONNECTION,
    ],
)
class KeepsTheDeadlineOfItsFirstRequest(TokenManager):
    """Has a minute for all of its token requests together."""

    deadline: float | None = None

    def _fetch_token(self) -> AccessToken:
        self.deadline = self.deadline or time.time() + 60
        if time.time() >= self.deadline:
            raise TokenError("context deadline exceeded")
        return super()._fetch_token()


@breaks(clauses.refresh.SAME_GRANT)
class RefreshesWithoutARefreshToken(Sender):
    def _token_parameters(self) -> dict[str, str]:
        if self._token is not None:
            return {"grant_type": "refresh_token", "refresh_token": ""}
        return super()._token_parameters()


@breaks(clauses.refresh.SINGLE_LIVE_TOKEN)
class GivesUpWhenAnotherHasRefreshed(ApiClient):
    """Repeats a call only if the refused token is still the current one."""

    def _is_token_refused(self, response: requests.Response) -> bool:
        current = self.tokens._token
        return super()._is_token_refused(response) and (
            current is None
            or response.request.headers["Authorization"] == f"Bearer {current.value}"
        )
