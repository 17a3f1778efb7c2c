"""Clients that are made from a profile alone: a right one, and ones with a mistake each.

They use none of the broker's code, so that a mistake in it does not cancel itself out.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from urllib.parse import quote_plus

import requests

from mockbroker import Profile
from mockbroker.model.messages import Headers, Request
from tests.broker.dialects import ORIGIN, PAIR

__all__ = ["TokenClient", "api_call", "token_in"]

_SENT_AS = {"form": "data", "json": "json", "query": "params"}
_FORM_WORDS = {"form": "form", "json": "JSON", "query": "query"}
_PLACES = {"basic": "Authorization header", "post": " in the ", "query": "URL"}


@dataclass(frozen=True)
class TokenClient:
    """A client of a profile's token endpoint.

    ``authentication`` is ``basic``, ``post`` or ``query``, ``left_out`` a parameter that it
    forgets, and ``changed`` are parameters with another value.
    """

    profile: Profile
    authentication: str
    body: str
    left_out: str = ""
    changed: tuple[tuple[str, str], ...] = ()

    def request(self) -> Request:
        """The token request as the requests library sends it."""
        profile, names = self.profile, self.profile.parameter_names
        values = {**profile.example_parameters, **dict(self.changed)}
        values.pop(self.left_out, None)
        secrets = {names.client_id: PAIR.client_id, names.client_secret: PAIR.client_secret}
        headers = {"Accept": "application/json", **_filled(profile.required_headers)}
        query = dict(pair.split("=") for pair in profile.token_query.split("&") if pair)
        if self.authentication == "basic":
            headers["Authorization"] = f"{profile.basic_scheme} {self._pair()}"
        elif self.authentication == "post":
            values |= secrets
        else:
            query |= secrets
        sent = {"params": query}
        place = _SENT_AS[self.body]
        sent[place] = {**sent.get(place, {}), **values}
        prepared = requests.Request(
            profile.method, ORIGIN + profile.own_token_path, headers=headers, **sent
        ).prepare()
        body = prepared.body or b""
        return Request(
            profile.method,
            prepared.path_url,
            Headers.of(prepared.headers.items()),
            body.encode() if isinstance(body, str) else body,
        )

    def _pair(self) -> str:
        id_, secret = PAIR.client_id, PAIR.client_secret
        if self.profile.basic_encoding == "form":
            id_, secret = quote_plus(id_), quote_plus(secret)
        return base64.b64encode(f"{id_}:{secret}".encode()).decode()

    def wrong(self) -> dict[str, tuple[TokenClient, tuple[str, ...]]]:
        """Clients with one mistake each, and the words of which the hint must have one."""
        accepted = self.profile.authentication_methods
        other = next(each for each in ("basic", "post", "query") if each not in accepted)
        body = "json" if self.body == "form" else "form"
        return {
            "body form": (replace(self, body=body), (_FORM_WORDS[self.body],)),
            "authentication": (
                replace(self, authentication=other),
                tuple(_PLACES[each] for each in accepted if each in _PLACES),
            ),
            "parameter": self._wrong_parameter(),
        }

    def _wrong_parameter(self) -> tuple[TokenClient, tuple[str, ...]]:
        names = self.profile.parameter_names
        further = [name for name in self.profile.example_parameters if name != names.grant_type]
        if further:
            return replace(self, left_out=further[0]), (further[0],)
        if self.profile.grant_type:
            return replace(self, changed=((names.grant_type, "implicit"),)), ("implicit",)
        changed = replace(self.profile, parameter_names=replace(names, client_id="id"))
        return replace(self, profile=changed), (names.client_id,)


def _filled(fields: dict[str, str]) -> dict[str, str]:
    return {name: "x" if value == "*" else value for name, value in fields.items()}


def token_in(profile: Profile, body: bytes) -> str:
    """The access token of a response, which is where the profile says."""
    found = json.loads(body)
    for name in profile.answer.paths.get("access_token", "access_token").split("."):
        found = found[int(name) if isinstance(found, list) else name]
    return found


def api_call(profile: Profile, token: str) -> Request:
    """A call to the API with a token."""
    value = f"{profile.api_scheme} {token}" if profile.api_scheme else token
    fields = {profile.api_header: value, **_filled(profile.api_required_headers)}
    return Request("GET", f"{profile.api_prefix}/things", Headers.of(fields.items()))
