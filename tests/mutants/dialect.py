"""The model client in the dialect of a provider: what differs from the form of the RFCs."""

from __future__ import annotations

import base64
import datetime
import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.model.profile import Profile

__all__ = ["DialectApiClient", "DialectTokenManager", "dialect_client"]


class DialectTokenManager(TokenManager):
    """A token manager that sends its request, and reads the response, as a profile says."""

    profile: Profile

    @property
    def authentication(self) -> str:
        return self.profile.authentication_methods[0]

    def _token_parameters(self) -> dict[str, str]:
        own, profile = self.profile.parameter_names, self.profile
        pairs = dict(self._parameters)
        if profile.grant_type:
            pairs[own.grant_type] = str(profile.grant_type)
        if self._scope:
            pairs[own.scope] = profile.scope_separator.join(self._scope.split())
        if self.authentication not in {"basic", "header"}:
            pairs[own.client_id] = self._client_id
        if self.authentication in {"post", "query"}:
            pairs[own.client_secret] = self._client_secret
        return pairs

    def _token_headers(self) -> dict[str, str]:
        wanted = self.profile.required_headers.items()
        fields = {name: "any" if value == "*" else value for name, value in wanted}
        if self.authentication == "basic":
            fields["Authorization"] = self._basic()
        if self.authentication == "header":
            own = self.profile.parameter_names
            fields |= {own.client_id: self._client_id, own.client_secret: self._client_secret}
        return {"Accept": "application/json", **fields}

    def _basic(self) -> str:
        encode = quote_plus if self.profile.basic_encoding == "form" else str
        pair = f"{encode(self._client_id)}:{encode(self._client_secret)}".encode()
        return f"{self.profile.basic_scheme} {base64.b64encode(pair).decode('ascii')}"

    def _send_token_request(self) -> requests.Response:
        sent = self.sent(self._token_parameters())
        try:
            return self._session.request(
                self.profile.method,
                self._token_url,
                headers=self._token_headers(),
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
                **sent,
            )
        except requests.RequestException as error:
            raise TokenError(f"the broker cannot be reached: {type(error).__name__}") from None

    def sent(self, pairs: dict[str, str]) -> dict[str, Any]:
        """The parameters, as the HTTP library takes them for the place where they belong."""
        place = {"form": "data", "json": "json", "query": "params"}[self.profile.body]
        return {place: pairs}

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if response.status_code == self.profile.answer.status:
            response.status_code = requests.codes.ok
        return super()._read_token(response, asked_at)

    def _token_of(self, members: dict[str, Any]) -> str:
        usual = self.member(members, "token_type")
        if isinstance(usual, str) and usual.lower() == self.profile.token_type.lower():
            usual = "bearer"
        value = self.member(members, "access_token")
        return super()._token_of({"access_token": value, "token_type": usual or "bearer"})

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        value, form = self.member(members, "expires_in"), self.profile.answer.lifetime
        if value is None or form == "seconds":
            return super()._lifetime_of({"expires_in": value})
        if form == "milliseconds":
            return super()._lifetime_of({"expires_in": value}) / 1000
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        if form == "rfc3339":
            return (
                datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp() - now
            )
        moment = super()._lifetime_of({"expires_in": value})
        return (moment if form == "unix" else moment / 1000) - now

    def member(self, members: dict[str, Any], name: str) -> Any:
        """A member of the response, at the place where the provider has it."""
        return functools.reduce(
            _part, self.profile.answer.paths.get(name, name).split("."), members
        )


def _part(place: Any, name: str) -> Any:
    """A member of an object by its name, or an item of a list by its number."""
    try:
        return place[int(name) if isinstance(place, list) else name]
    except (KeyError, IndexError, TypeError, ValueError):
        return None


class DialectApiClient(ApiClient):
    """A client of an API whose calls carry the token as a profile says."""

    profile: Profile

    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        kwargs = {"timeout": self._timeout, "verify": self._verify, **kwargs}
        if self.profile.api_header != "Authorization" or self.profile.api_query:
            # A session removes that header only, so that any other would follow to a new origin.
            kwargs["allow_redirects"] = False
        return self._session.request(method, url, auth=_Signed(self.profile, token), **kwargs)


class _Signed(requests.auth.AuthBase):
    """Authentication by the profile's header."""

    def __init__(self, profile: Profile, token: str) -> None:
        self._profile = profile
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        profile = self._profile
        if profile.api_query:
            request.prepare_url(request.url, {profile.api_query: self._token})
        else:
            request.headers[profile.api_header] = f"{profile.api_scheme} {self._token}".lstrip()
        for name, value in profile.api_required_headers.items():
            request.headers[name] = "any" if value == "*" else value
        return request


def dialect_client(profile: Profile, *halves: type) -> Callable[[Any], ApiClient]:
    """Return the factory of a client in that dialect, of which these classes are halves."""
    managers = tuple(each for each in halves if issubclass(each, TokenManager))
    signers = tuple(each for each in halves if not issubclass(each, TokenManager))
    spoken = {"profile": profile}
    manager = type("Manager", managers or (DialectTokenManager,), spoken)
    signer = type("Signer", signers or (DialectApiClient,), spoken)

    def made(config: Any) -> ApiClient:
        verify = config.ca_file or True
        pair = (config.client_id, config.client_secret)
        tokens = manager(
            config.token_url,
            *pair,
            scope=config.scope,
            parameters=config.parameters,
            timeout=config.timeout,
            verify=verify,
        )
        return signer(tokens, config.api_base_url, timeout=config.timeout, verify=verify)

    return made
