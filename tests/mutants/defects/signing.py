"""Clients with one defect of the chapter ``signing``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import requests

from examples.model_client import ApiClient
from tests.mutants.workshop import Signer, breaks


@breaks("signing.bearer")
class SignsInLowerCase(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"bearer {token}"


@breaks("signing.bearer")
class SignsWithTwoSpaces(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"Bearer  {token}"


@breaks("signing.header-only", "secrecy.token")  # the URL is in the log of urllib3
class PutsTheTokenIntoTheUrlToo(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        if (
            "/vehicle" in str(request.url)
            and request.method == "GET"
            and not request.headers.get("Accept", "").startswith("text")
        ):
            request.prepare_url(request.url, {"access_token": token})


@breaks("signing.header-only")
class PutsARenewedTokenIntoTheUrlToo(Signer):
    first = ""

    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        self.first = self.first or token
        if token != self.first:
            request.prepare_url(request.url, {"access_token": token})


@breaks("signing.no-credentials")
class SendsTheCredentialsToTheApi(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["X-Client"] = self.tokens.basic()


@breaks("signing.preserves-request")
class DropsTheQuery(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.url = str(request.url).partition("?")[0]


@breaks("signing.preserves-request")
class OverwritesTheHeaders(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        for name in [name for name in request.headers if name.startswith("X-")]:
            del request.headers[name]


@breaks("signing.preserves-request")
class UnquotesThePath(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.url = str(request.url).replace("%2F", "/")


@breaks("refresh.honours-expires-in")
class KeepsTheExpiryOfARefusedToken(ApiClient):
    def is_token_refused(self, response: requests.Response) -> bool:
        before = self.tokens._token
        is_refused = super().is_token_refused(response)
        if is_refused and before is not None:
            token = self.tokens.fetch_token()
            self.tokens._token = replace(before, value=token.value)
        return is_refused


@breaks("signing.revoked")
class NeverTriesAgain(ApiClient):
    def is_token_refused(self, response: requests.Response) -> bool:
        return False


@breaks("signing.revoked")
class TriesAgainWithTheSameToken(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        token = self.get_token()
        response = self.send(method, url, token, **kwargs)
        return self.send(method, url, token, **kwargs) if response.status_code == 401 else response


@breaks("signing.no-retry-storm")
class TriesFiveTimes(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        for _ in range(5):
            token = self.get_token()
            response = self.send(method, url, token, **kwargs)
            if response.status_code != 401:
                break
            self.tokens.discard(token)
        return response


@breaks("signing.forbidden")
class RefreshesWhenForbidden(ApiClient):
    def is_token_refused(self, response: requests.Response) -> bool:
        return response.status_code in (401, 403)


@breaks("signing.forbidden")
class RefreshesOnServerErrors(ApiClient):
    def is_token_refused(self, response: requests.Response) -> bool:
        return response.status_code == 401 or response.status_code >= 500


@breaks("signing.forbidden")
class ForgetsItsTokenWhenForbidden(ApiClient):
    def send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super().send(method, url, token, **kwargs)
        if response.status_code == 403:
            self.tokens.discard(token)
        return response


@breaks("signing.cross-origin")
class CarriesTheTokenAnywhere(ApiClient):
    def send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super().send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            return super().send(method, response.headers["Location"], token)
        return response


@breaks("signing.cross-origin")
class ShowsTheTokenInARefererOnRedirect(ApiClient):
    def send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super().send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            headers = {"X-Forwarded-Authorization": f"Bearer {token}"}
            return requests.get(response.headers["Location"], headers=headers, timeout=5)
        return response


@breaks("signing.no-credentials")
class SendsTheSecretAsAnApiKey(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["X-Api-Key"] = self.tokens._client_secret.encode()


@breaks("signing.no-retry-storm")
class FetchesAgainAndAgainBeforeACall(ApiClient):
    def is_token_refused(self, response: requests.Response) -> bool:
        if response.status_code == 401:
            for _ in range(2):
                self.tokens.fetch_token()
        return super().is_token_refused(response)


@breaks(
    "signing.revoked",
    "signing.no-retry-storm",
    "signing.preserves-request",
    "signing.cross-origin",
    "lifecycle",
    deadline=1.0,
    patience=1.5,
    examples=100,
)
class DeadlocksWhenItsTokenIsRefused(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = self.send(method, url, self.get_token(), **kwargs)
        if response.status_code == 401:
            with self.tokens._lock:
                return self.request(method, url, **kwargs)
        return response
