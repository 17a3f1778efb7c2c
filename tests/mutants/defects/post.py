"""Clients with one defect of the chapter ``post``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote_plus, urlencode

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import Profile
from tests.mutants.workshop import Sender, breaks

POST = Profile(name="in-the-body", client_authentication=("post",))


class Poster(Sender):
    """A token manager that authenticates in the body."""

    def _token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    def credentials(self) -> dict[str, str]:
        return {"client_id": self._client_id, "client_secret": self._client_secret}

    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), **self.credentials()}


@breaks(clauses.post.CREDENTIALS, profile=POST)
class EncodesTheSecretTwice(Poster):
    def credentials(self) -> dict[str, str]:
        return {"client_id": self._client_id, "client_secret": quote_plus(self._client_secret)}


@breaks(clauses.post.CREDENTIALS, clauses.request.SCOPE, profile=POST)
class WritesTheFormByHand(Poster):
    def body(self) -> Any:
        return "&".join(f"{name}={value}" for name, value in self._token_parameters().items())

    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Content-Type": "application/x-www-form-urlencoded"}


@breaks(clauses.post.CREDENTIALS, profile=POST)
class ExpandsThePostedSecret(Poster):
    def credentials(self) -> dict[str, str]:
        return {name: os.path.expandvars(value) for name, value in super().credentials().items()}


@breaks(clauses.post.CREDENTIALS, blocks=[clauses.post.ONLY], profile=POST)
class UsesBasicAllTheSame(TokenManager):
    """The model client, where credentials should be in the body."""


@breaks(clauses.post.CREDENTIALS, blocks=[clauses.post.ONLY], profile=POST)
class SendsTheIdOnly(Poster):
    def credentials(self) -> dict[str, str]:
        return {"client_id": self._client_id}


@breaks(clauses.post.ONLY, profile=POST)
class SendsBasicToo(Poster):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Authorization": self._basic()}


@breaks(clauses.post.ONLY, clauses.secrecy.SECRET, profile=POST)  # the HTTP library logs the URL
class SendsThePostedSecretInTheUrlToo(Poster):
    def body(self) -> Any:
        self.url_suffix = "?" + urlencode(self.credentials())
        return self._token_parameters()
