"""Clients with one defect of the chapter ``response``."""

from __future__ import annotations

from typing import Any

import requests

from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import Auth, Signer, breaks


class WantsAScope(TokenManager):
    """Refuses the documented answer, so that no other clause can be judged.

    It is not registered by `breaks`: its set of clauses is every clause, so the kill matrix has a
    test of its own for it.
    """

    def _token_of(self, members: dict[str, Any]) -> str:
        if not members["scope"]:
            raise TokenError("no scope was granted")
        return super()._token_of(members)


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


@breaks(clauses.response.INVALID)
class SignsWithNone(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        return super()._token_of(members) if members.get("access_token") else "None"


@breaks(clauses.response.INVALID)
class TakesAnythingForAToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        value = members.get("access_token")
        return str(value) if isinstance(value, (int, list, dict)) else super()._token_of(members)


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
