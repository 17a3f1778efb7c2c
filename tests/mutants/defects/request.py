"""Clients with one defect of the chapter ``request``."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from examples.model_client import TokenManager
from tests.mutants.workshop import Sender, breaks


@breaks("request.method")
class AsksByGet(Sender):
    method = "GET"

    def body(self) -> Any:
        self.url_suffix = "?" + urlencode(self.token_parameters())
        return None


@breaks("request.method")
class AsksByPut(Sender):
    method = "PUT"


@breaks("request.url")
class AddsAQuery(Sender):
    url_suffix = "?v=2"


@breaks("request.url")
class AddsASlash(Sender):
    url_suffix = "/"


@breaks("request.content-type")
class SaysJson(TokenManager):
    def token_headers(self) -> dict[str, str]:
        return {**super().token_headers(), "Content-Type": "application/json"}


@breaks("request.content-type")
class SaysNoContentType(Sender):
    def body(self) -> Any:
        return urlencode(self.token_parameters()).encode()


@breaks("request.grant-type")
class SendsJsonAsForm(Sender):
    def body(self) -> Any:
        return json.dumps(self.token_parameters())

    def token_headers(self) -> dict[str, str]:
        form = "application/x-www-form-urlencoded"
        return {**super().token_headers(), "Content-Type": form}


@breaks("request.grant-type")
class AsksForAnotherGrant(TokenManager):
    def token_parameters(self) -> dict[str, str]:
        return {"grant_type": "client_credential"}


@breaks("request.grant-type")
class SendsTheGrantTwice(Sender):
    def body(self) -> Any:
        return [("grant_type", "client_credentials")] * 2


@breaks("request.no-extra-parameters")
class SendsAnAudience(TokenManager):
    def token_parameters(self) -> dict[str, str]:
        return {**super().token_parameters(), "audience": "api"}


@breaks("request.no-extra-parameters")
class SendsTheClientId(TokenManager):
    def token_parameters(self) -> dict[str, str]:
        return {**super().token_parameters(), "client_id": self._client_id}


@breaks("request.accept")
class AcceptsOnlyXml(TokenManager):
    def token_headers(self) -> dict[str, str]:
        return {**super().token_headers(), "Accept": "application/xml"}


@breaks("request.accept")
class RulesJsonOutByWeight(TokenManager):
    def token_headers(self) -> dict[str, str]:
        return {**super().token_headers(), "Accept": "text/plain, application/json;q=0"}
