"""Clients with one defect of the chapter ``request``."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlencode, urlparse

import requests
from urllib3.filepost import encode_multipart_formdata

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import Profile
from tests.mutants.workshop import Sender, breaks


@breaks(clauses.request.METHOD)
class AsksByGet(Sender):
    method = "GET"

    def body(self) -> Any:
        self.url_suffix = "?" + urlencode(self._token_parameters())
        return None


@breaks(clauses.request.METHOD)
class AsksByPut(Sender):
    method = "PUT"


@breaks(clauses.request.URL)
class AddsAQuery(Sender):
    url_suffix = "?v=2"


@breaks(clauses.request.URL)
class AddsASlash(Sender):
    url_suffix = "/"


class _OwnUrl(Sender):
    """A token manager that does not use the URL as it is."""

    def url(self) -> str:
        raise NotImplementedError

    def _send_token_request(self) -> requests.Response:
        self._token_url, configured = self.url(), self._token_url
        try:
            return super()._send_token_request()
        finally:
            self._token_url = configured


@breaks(clauses.request.URL)
class StripsTheSlash(_OwnUrl):
    def url(self) -> str:
        return self._token_url.rstrip("/")


@breaks(clauses.request.URL)
class LosesTheQuery(_OwnUrl):
    def url(self) -> str:
        return self._token_url.partition("?")[0]


@breaks(clauses.request.URL)
class DecodesThePath(_OwnUrl):
    def url(self) -> str:
        return unquote(self._token_url)


@breaks(clauses.request.URL)
class LosesPathParameters(_OwnUrl):
    def url(self) -> str:
        return urlparse(self._token_url)._replace(params="").geturl()


@breaks(clauses.request.URL)
class WritesTheUrlInLowerCase(_OwnUrl):
    def url(self) -> str:
        return self._token_url.lower()


@breaks(clauses.request.CONTENT_TYPE)
class SaysJson(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Content-Type": "application/json"}


@breaks(clauses.request.CONTENT_TYPE)
class SaysNoContentType(Sender):
    def body(self) -> Any:
        return urlencode(self._token_parameters()).encode()


@breaks(clauses.request.CONTENT_TYPE, clauses.request.GRANT_TYPE, blocks=[clauses.request.SCOPE])
class SendsAMultipartForm(Sender):
    content_type = ""

    def body(self) -> Any:
        content, self.content_type = encode_multipart_formdata(self._token_parameters())
        return content

    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Content-Type": self.content_type}


@breaks(clauses.request.GRANT_TYPE)
class SendsJsonAsForm(Sender):
    def body(self) -> Any:
        return json.dumps(self._token_parameters())

    def _token_headers(self) -> dict[str, str]:
        form = "application/x-www-form-urlencoded"
        return {**super()._token_headers(), "Content-Type": form}


@breaks(clauses.request.GRANT_TYPE)
class AsksForAnotherGrant(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "grant_type": "client_credential"}


@breaks(clauses.request.GRANT_TYPE)
class SendsTheGrantTwice(Sender):
    def body(self) -> Any:
        return [*self._token_parameters().items(), ("grant_type", "client_credentials")]


@breaks(clauses.request.SCOPE)
class JoinsScopesByCommas(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        scope = {"scope": ",".join(self._scope.split())} if self._scope else {}
        return {**super()._token_parameters(), **scope}


@breaks(clauses.request.SCOPE)
class SendsTheFirstScopeOnly(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        scope = {"scope": self._scope.split()[0]} if self._scope else {}
        return {**super()._token_parameters(), **scope}


@breaks(clauses.request.SCOPE)
class RepeatsTheScope(TokenManager):
    def _token_parameters(self) -> dict[str, Any]:  # type: ignore[override]  # a list, for requests
        scope = {"scope": self._scope.split()} if self._scope else {}
        return {**super()._token_parameters(), **scope}


@breaks(clauses.request.SCOPE)
class DropsScopesThatAreUrls(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        parameters = super()._token_parameters()
        return {name: value for name, value in parameters.items() if "://" not in value}


_REQUIRING = Profile(name="requiring", parameters={"audience": "https://api.example/?a=b c"})


@breaks(clauses.request.PARAMETERS, profile=_REQUIRING)
class HasNoSettingForAnAudience(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        self._parameters = {}
        return super()._token_parameters()


@breaks(clauses.request.PARAMETERS, profile=_REQUIRING)
class RefreshesWithoutTheAudience(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        parameters = super()._token_parameters()
        if self._token is not None:
            del parameters["audience"]
        return parameters


@breaks(clauses.request.PARAMETERS, profile=_REQUIRING)
class SendsTheAudienceTwice(Sender):
    def body(self) -> Any:
        return [*self._token_parameters().items(), *self._parameters.items()]


@breaks(clauses.request.NO_EXTRA_PARAMETERS)
class SendsAnAudience(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "audience": "api"}


@breaks(clauses.request.NO_EXTRA_PARAMETERS)
class SendsTheClientId(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "client_id": self._client_id}


@breaks(clauses.request.ACCEPT)
class AcceptsOnlyXml(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Accept": "application/xml"}


@breaks(clauses.request.ACCEPT)
class RulesJsonOutByWeight(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Accept": "text/plain, application/json;q=0"}
