"""Clients with one defect of the chapter ``response``."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from typing import Any

import requests

from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import Auth, Signer, breaks

# A client that presents expired tokens requests none, so that nothing shows how it would do it.
_WITH_EXPIRED_TOKENS = [
    clauses.refresh.AHEAD,
    clauses.refresh.LATENCY,
    clauses.refresh.SAME_GRANT,
    clauses.refresh.OUTAGE_WHILE_VALID,
    clauses.refresh.OUTAGE_AFTER_EXPIRY,
    clauses.refresh.RECOVERS,
    clauses.refresh.CLOCK_CHANGES,
    clauses.refresh.SAME_TOKEN,
    clauses.refresh.RECOVERS_AT_ONCE,
    clauses.refresh.OFFERED_REFRESH_TOKEN,
    clauses.errors.IDLE_CONNECTION,
]


class WantsAScope(TokenManager):
    """Refuses the documented answer, so that no other clause can be judged.

    It is not registered by `breaks`: its set of clauses is every clause, so the kill matrix has a
    test of its own for it.
    """

    def _token_of(self, members: dict[str, Any]) -> str:
        if not members["scope"]:
            raise TokenError("no scope was granted")
        return super()._token_of(members)


@breaks(clauses.response.SCOPE_MISSING)
class NeedsAScope(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if "scope" not in members:
            raise TokenError("no scope in the answer")
        return super()._token_of(members)


@breaks(clauses.response.SCOPE_MISSING)
class ComparesTheScopes(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if self._scope and members.get("scope") != self._scope:
            raise TokenError("another scope was granted")
        return super()._token_of(members)


# A thousandth of most lifetimes is shorter than a leeway of half a minute.
@breaks(
    clauses.response.EXPIRES_IN_UNIT,
    clauses.cache.REUSE,
    blocks=[
        clauses.cache.SINGLE_FLIGHT,
        clauses.refresh.OUTAGE_WHILE_VALID,
        clauses.refresh.SINGLE_LIVE_TOKEN,
    ],
)
class TakesSecondsForMilliseconds(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        return super()._lifetime_of(members) / 1000


@breaks(
    clauses.response.EXPIRES_IN_UNIT,
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=_WITH_EXPIRED_TOKENS,
)
class ReadsMinutes(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        return super()._lifetime_of(members) * 60


@breaks(
    clauses.response.EXPIRES_IN_UNIT,
    clauses.refresh.HONOURS_EXPIRES_IN,
    blocks=_WITH_EXPIRED_TOKENS,
)
class MultipliesByAThousand(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        return super()._lifetime_of(members) * 1000


@breaks(clauses.response.TRANSFER)
class ReadsContentLength(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if response.ok and "Content-Length" not in response.headers:
            raise TokenError("the answer is empty")
        return super()._read_token(response, asked_at)


@breaks(clauses.response.TRANSFER)
class NeverDecompresses(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if "Content-Encoding" in response.headers:
            raise TokenError("the answer is not JSON")
        return super()._read_token(response, asked_at)


@breaks(clauses.response.OPAQUE_TOKEN)
class TakesTwoDotsForAJwt(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        token = super()._token_of(members)
        if token.count(".") == 2:
            payload = token.split(".")[1]
            json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return token


@breaks(clauses.response.OPAQUE_TOKEN)
class TakesNullForNoToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        token = super()._token_of(members)
        if token in ("null", "undefined"):
            raise TokenError("the answer has no access_token")
        return token


@breaks(clauses.response.OPAQUE_TOKEN, blocks=[clauses.response.JSON_FORMS])
class KeepsTheExpiryBehindASlash(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        kept = f"{super()._token_of(members)}/{members.get('expires_in')}"
        return kept.partition("/")[0]


@breaks(clauses.response.OPAQUE_TOKEN)
class TakesNoLongTokens(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if len(super()._token_of(members)) > 2048:
            raise TokenError("the token is too long")
        return super()._token_of(members)


@breaks(clauses.response.OPAQUE_TOKEN)
class StripsThePaddingOfTokens(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        return super()._token_of(members).rstrip("=")


@breaks(clauses.response.UNKNOWN_MEMBERS)
class KnowsAllMembers(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        known = {"access_token", "expires_in", "scope", "token_type", "refresh_token"}
        if members.keys() - known:
            raise TokenError("unknown members")
        return super()._token_of(members)


@breaks(clauses.response.JSON_FORMS)
class ReadsByRegularExpression(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super()._read_token(response, asked_at)
        if f'"access_token": "{token.value}"' not in response.text:
            raise TokenError("no access_token")
        return token


@breaks(clauses.response.JSON_FORMS)
class WantsTheBareMediaType(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if "charset" in response.headers["Content-Type"]:
            raise TokenError("not JSON")
        return super()._read_token(response, asked_at)


@breaks(clauses.response.TOKEN_TYPE_CASE)
class WantsLowerCaseBearer(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if members.get("token_type") not in ("bearer", "Bearer"):
            raise TokenError("another type of token")
        return super()._token_of(members)


@breaks(clauses.response.TOKEN_TYPE_UNKNOWN)
class IgnoresTheTokenType(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        return super()._token_of({**members, "token_type": "bearer"})


@breaks(clauses.response.EXPIRES_IN_MISSING)
class NeedsExpiresIn(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        return super()._lifetime_of({"expires_in": members["expires_in"]})


@breaks(clauses.response.EXPIRES_IN_MISSING)
class KeepsTheOldExpiryForWantOfAnother(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if self._token is not None and "expires_in" not in members:
            raise TokenError("the token has expired")
        return super()._lifetime_of(members)


@breaks(clauses.response.EXPIRES_IN_MISSING)
class RenewsAtOnceWithoutALifetime(TokenManager):
    """Has a timer for the next renewal, which is due at once if the lifetime is unknown."""

    timer: threading.Timer | None = None
    is_closed = False

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if members.get("expires_in") is None and not self.is_closed:
            self.timer = threading.Timer(0.0, self._renew)
            self.timer.daemon = True
            self.timer.start()
        return super()._lifetime_of(members)

    def _renew(self) -> None:
        with self._lock, contextlib.suppress(TokenError):
            self._token = self._fetch_token()

    def close(self) -> None:
        self.is_closed = True
        super().close()


@breaks(clauses.response.EXPIRES_IN_FORMS)
class TakesAStringForNoExpiry(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            return 1e9
        return super()._lifetime_of(members)


@breaks(clauses.response.EXPIRES_IN_FORMS)
class SaysThatAStringIsMissing(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            raise TokenError("Missing 'expires_in' field in the answer")
        return super()._lifetime_of(members)


@breaks(clauses.response.NO_TOKEN)
class SignsWithNone(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        return super()._token_of(members) if members.get("access_token") else "None"


@breaks(clauses.response.TOKEN_NOT_STRING)
class TakesAnythingForAToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        value = members.get("access_token")
        return str(value) if isinstance(value, (int, list, dict)) else super()._token_of(members)


@breaks(clauses.response.NO_TOKEN)
class TakesAPageForAToken(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if response.ok and response.headers["Content-Type"] == "text/html":
            return AccessToken(response.text, asked_at + 60, asked_at + 60)
        return super()._read_token(response, asked_at)


@breaks(clauses.response.TOKEN_NOT_STRING)
class WritesObjectsAsText(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        value = members.get("access_token")
        return json.dumps(value) if isinstance(value, dict) else super()._token_of(members)


class _RemembersTheType(TokenManager):
    token_type = "Bearer"

    def _token_of(self, members: dict[str, Any]) -> str:
        self.token_type = members["token_type"]
        return super()._token_of(members)


@breaks(clauses.response.TOKEN_TYPE_CASE)
class CopiesTheTokenType(Signer):
    manager = _RemembersTheType

    def signature(self, token: str) -> requests.auth.AuthBase:
        def copy(request: requests.PreparedRequest, value: str) -> None:
            request.headers["Authorization"] = f"{self.tokens.token_type} {value}"

        return Auth(copy, token)


@breaks(clauses.response.UNKNOWN_MEMBERS)
class ChokesOnNestedMembers(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if any(isinstance(value, dict) for value in members.values()):
            raise TokenError("the answer is nested")
        return super()._token_of(members)


@breaks(clauses.response.TOKEN_TYPE_UNKNOWN)
class TakesNotApplicableForBearer(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        if members.get("token_type") == "N_A":
            members = {**members, "token_type": "bearer"}
        return super()._token_of(members)


@breaks(clauses.response.EXPIRES_IN_MISSING)
class RefusesAnUnlimitedToken(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        if members.get("expires_in") is None:
            raise TokenError("this broker does not say for how long")
        return super()._lifetime_of(members)
