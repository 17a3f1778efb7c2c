"""Clients with one defect of the chapter ``signing``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import requests

from examples.model_client import ApiClient
from mockbroker.contract import clauses
from tests.mutants.workshop import Signer, breaks


@breaks(clauses.signing.BEARER)
class SignsInLowerCase(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"bearer {token}"


@breaks(clauses.signing.BEARER)
class SignsWithTwoSpaces(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"Bearer  {token}"


@breaks(clauses.signing.HEADER_ONLY, clauses.secrecy.TOKEN)  # the URL is in the log of urllib3
class PutsTheTokenIntoTheUrlToo(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        if (
            "/vehicle" in str(request.url)
            and request.method == "GET"
            and not request.headers.get("Accept", "").startswith("text")
        ):
            request.prepare_url(request.url, {"access_token": token})


@breaks(clauses.signing.HEADER_ONLY)
class PutsARenewedTokenIntoTheUrlToo(Signer):
    first = ""

    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        self.first = self.first or token
        if token != self.first:
            request.prepare_url(request.url, {"access_token": token})


@breaks(clauses.signing.NO_CREDENTIALS)
class SendsTheCredentialsToTheApi(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["X-Client"] = self.tokens._basic()


@breaks(clauses.signing.PRESERVES_REQUEST)
class DropsTheQuery(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.url = str(request.url).partition("?")[0]


@breaks(clauses.signing.PRESERVES_REQUEST)
class OverwritesTheHeaders(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        for name in [name for name in request.headers if name.startswith("X-")]:
            del request.headers[name]


@breaks(clauses.signing.PRESERVES_REQUEST)
class UnquotesThePath(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.url = str(request.url).replace("%2F", "/")


@breaks(
    clauses.refresh.HONOURS_EXPIRES_IN,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.SINGLE_LIVE_TOKEN,
    shown_by=[clauses.signing.REVOKED],
)
class KeepsTheExpiryOfARefusedToken(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        before = self.tokens._token
        is_refused = super()._is_token_refused(response)
        if is_refused and before is not None:
            token = self.tokens._fetch_token()
            self.tokens._token = replace(before, value=token.value)
        return is_refused


@breaks(clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN])
class NeverTriesAgain(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        return False


@breaks(
    clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED]
)
class TriesAgainWithTheSameToken(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        token = self.get_token()
        response = self._send(method, url, token, **kwargs)
        return self._send(method, url, token, **kwargs) if response.status_code == 401 else response


@breaks(clauses.signing.NO_RETRY_STORM)
class TriesFiveTimes(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        for _ in range(5):
            token = self.get_token()
            response = self._send(method, url, token, **kwargs)
            if response.status_code != 401:
                break
            self.tokens.discard(token)
        return response


@breaks(clauses.signing.FORBIDDEN)
class RefreshesWhenForbidden(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        return response.status_code in (401, 403)


@breaks(clauses.signing.FORBIDDEN)
class RefreshesOnServerErrors(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        return response.status_code == 401 or response.status_code >= 500


@breaks(clauses.signing.FORBIDDEN)
class ForgetsItsTokenWhenForbidden(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, **kwargs)
        if response.status_code == 403:
            self.tokens.discard(token)
        return response


@breaks(clauses.signing.CROSS_ORIGIN)
class CarriesTheTokenAnywhere(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            return super()._send(method, response.headers["Location"], token)
        return response


@breaks(clauses.signing.CROSS_ORIGIN)
class ShowsTheTokenInARefererOnRedirect(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            headers = {"X-Forwarded-Authorization": f"Bearer {token}"}
            return requests.get(response.headers["Location"], headers=headers, timeout=5)
        return response


@breaks(clauses.signing.NO_CREDENTIALS)
class SendsTheSecretAsAnApiKey(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["X-Api-Key"] = self.tokens._client_secret.encode()


@breaks(
    clauses.signing.NO_RETRY_STORM, clauses.cache.SINGLE_FLIGHT, clauses.refresh.SINGLE_LIVE_TOKEN
)
class FetchesAgainAndAgainBeforeACall(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        if response.status_code == 401:
            for _ in range(2):
                self.tokens._fetch_token()
        return super()._is_token_refused(response)


@breaks(
    clauses.signing.REVOKED,
    clauses.signing.NO_RETRY_STORM,
    clauses.signing.PRESERVES_REQUEST,
    clauses.signing.CROSS_ORIGIN,
    clauses.lifecycle.LIFECYCLE,
    blocks=[clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED],
    deadline=1.0,
    patience=1.5,
    examples=100,
)
class DeadlocksWhenItsTokenIsRefused(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = self._send(method, url, self.get_token(), **kwargs)
        if response.status_code == 401:
            with self.tokens._lock:
                return self.request(method, url, **kwargs)
        return response
