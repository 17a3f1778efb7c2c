"""Clients with one defect of the chapter ``response``."""

from __future__ import annotations

from typing import Any

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import Auth, breaks


class WantsAScope(TokenManager):
    """Refuses the documented answer, so that nothing else can be judged."""

    def token_of(self, members: dict[str, Any]) -> str:
        if not members["scope"]:
            raise TokenError("no scope was granted")
        return super().token_of(members)


@breaks(clauses.response.OPAQUE_TOKEN)
class TakesNoLongTokens(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if len(super().token_of(members)) > 2048:
            raise TokenError("the token is too long")
        return super().token_of(members)


@breaks(clauses.response.OPAQUE_TOKEN)
class StripsThePaddingOfTokens(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of(members).rstrip("=")


@breaks(clauses.response.UNKNOWN_MEMBERS)
class KnowsAllMembers(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        known = {"access_token", "expires_in", "scope", "token_type", "refresh_token"}
        if members.keys() - known:
            raise TokenError("unknown members")
        return super().token_of(members)


@breaks(clauses.response.JSON_FORMS)
class ReadsByRegularExpression(TokenManager):
    def read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super().read_token(response, asked_at)
        if f'"access_token": "{token.value}"' not in response.text:
            raise TokenError("no access_token")
        return token


@breaks(clauses.response.JSON_FORMS)
class WantsTheBareMediaType(TokenManager):
    def read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if "charset" in response.headers["Content-Type"]:
            raise TokenError("not JSON")
        return super().read_token(response, asked_at)


@breaks(clauses.response.TOKEN_TYPE_CASE)
class WantsLowerCaseBearer(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if members.get("token_type") not in ("bearer", "Bearer"):
            raise TokenError("another type of token")
        return super().token_of(members)


@breaks(clauses.response.TOKEN_TYPE_UNKNOWN)
class IgnoresTheTokenType(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of({**members, "token_type": "bearer"})


@breaks(clauses.response.EXPIRES_IN_MISSING)
class NeedsExpiresIn(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        return super().lifetime_of({"expires_in": members["expires_in"]})


@breaks(clauses.response.EXPIRES_IN_MISSING)
class KeepsTheOldExpiryForWantOfAnother(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if self._token is not None and "expires_in" not in members:
            raise TokenError("the token has expired")
        return super().lifetime_of(members)


@breaks(clauses.response.EXPIRES_IN_FORMS)
class TakesAStringForNoExpiry(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            return 1e9
        return super().lifetime_of(members)


@breaks(clauses.response.EXPIRES_IN_FORMS)
class SaysThatAStringIsMissing(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            raise TokenError("Missing 'expires_in' field in the answer")
        return super().lifetime_of(members)


@breaks(clauses.response.INVALID)
class SignsWithNone(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of(members) if members.get("access_token") else "None"


@breaks(clauses.response.INVALID)
class TakesAnythingForAToken(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        value = members.get("access_token")
        return str(value) if isinstance(value, (int, list, dict)) else super().token_of(members)


class _RemembersTheType(TokenManager):
    token_type = "Bearer"

    def token_of(self, members: dict[str, Any]) -> str:
        self.token_type = members["token_type"]
        return super().token_of(members)


@breaks(clauses.response.TOKEN_TYPE_CASE)
class CopiesTheTokenType(ApiClient):
    manager = _RemembersTheType

    def sign(self, token: str) -> requests.auth.AuthBase:
        def copy(request: requests.PreparedRequest, value: str) -> None:
            request.headers["Authorization"] = f"{self.tokens.token_type} {value}"

        return Auth(copy, token)


@breaks(clauses.response.UNKNOWN_MEMBERS)
class ChokesOnNestedMembers(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if any(isinstance(value, dict) for value in members.values()):
            raise TokenError("the answer is nested")
        return super().token_of(members)


@breaks(clauses.response.TOKEN_TYPE_UNKNOWN)
class TakesNotApplicableForBearer(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if members.get("token_type") == "N_A":
            members = {**members, "token_type": "bearer"}
        return super().token_of(members)


@breaks(clauses.response.EXPIRES_IN_MISSING)
class RefusesAnUnlimitedToken(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if members.get("expires_in") is None:
            raise TokenError("this broker does not say for how long")
        return super().lifetime_of(members)
