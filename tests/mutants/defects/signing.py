"""Clients with one defect of the chapter ``signing``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import requests

from examples.model_client import ApiClient, _can_be_sent_again, _origin_of
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


@breaks(clauses.signing.BEARER)
class AddsTheNewTokenToTheHeader(ApiClient):
    """Adds to the header when it repeats a call, in place of replacing its value."""

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        response = self._send(method, url, token := self.get_token(), **kwargs)
        if response.status_code == 401 and _can_be_sent_again(kwargs.get("data")):
            self.tokens.discard(token)
            token = self.get_token()
            response = self._send(method, url, f"{token}, Bearer {token}", **kwargs)
        return response


@breaks(clauses.signing.BEARER)
class SignsCallsByGetOnly(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        if method.upper() == "GET":
            return super()._send(method, url, token, **kwargs)
        kwargs = {"timeout": self._timeout, "verify": self._verify, **kwargs}
        return self._session.request(method, url, **kwargs)


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


@breaks(clauses.signing.BODY_READ_ONCE)
class RepeatsACallWhoseBodyIsReadAlready(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = super().request(method, url, **kwargs)
        if response.status_code == 401 and "data" in kwargs:
            response = super().request(method, url, **kwargs)
        return response


@breaks(clauses.signing.CALLERS_ARGUMENTS)
class WritesIntoTheCallersHeaders(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        kwargs.get("headers", {})["Authorization"] = f"Bearer {token}"
        return super()._send(method, url, token, **kwargs)


@breaks(clauses.signing.CALLERS_ARGUMENTS)
class TakesParametersOutOfTheCallersDict(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        parameters = kwargs.pop("params", {})
        while parameters:
            name, value = parameters.popitem()
            url += f"{'&' if '?' in url else '?'}{name}={value}"
        return super()._send(method, url, token, **kwargs)


@breaks(clauses.signing.NO_REPLAY)
class RepeatsAnyCallAfterA503(ApiClient):
    def _send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super()._send(*args, **kwargs)
        return super()._send(*args, **kwargs) if response.status_code == 503 else response


@breaks(clauses.signing.NO_REPLAY)
class RepeatsAnyCallWithoutAnAnswer(ApiClient):
    def _send(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            return super()._send(*args, **kwargs)
        except requests.Timeout:
            return super()._send(*args, **kwargs)


@breaks(clauses.signing.SAME_ORIGIN_REDIRECT)
class FollowsRedirectsWithoutTheToken(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            location = urljoin(url, response.headers["Location"])
            return requests.request(method, location, timeout=5)
        return response


@breaks(clauses.signing.SAME_ORIGIN_REDIRECT)
class SaysNothingOfARedirect(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        response = super().request(method, url, allow_redirects=False, **kwargs)
        return None if response.is_redirect else response


@breaks(clauses.signing.OTHER_HOSTS)
class SignsCallsOfAnyHost(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._origin = _origin_of(url)
        return super().request(method, url, **kwargs)


@breaks(clauses.signing.OTHER_HOSTS, clauses.errors.BOUNDED)
class SendsNewTokensToAnyHostWithoutEnd(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        own, self._origin = self._origin, _origin_of(url)
        try:
            response = super().request(method, url, **kwargs)
            while self._origin != own and response.status_code == 401:
                response = super().request(method, url, **kwargs)
            return response
        finally:
            self._origin = own


@breaks(clauses.signing.OTHER_HOSTS)
class LooksAtTheBeginningOfAUrlOnly(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        if url.startswith(self._origin):
            self._origin, own = _origin_of(url), self._origin
            try:
                return super().request(method, url, **kwargs)
            finally:
                self._origin = own
        return super().request(method, url, **kwargs)


@breaks(clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN])
class NeverTriesAgain(ApiClient):
    def _is_token_refused(self, response: requests.Response) -> bool:
        return False


@breaks(
    clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED]
)
class TriesAgainWithTheSameToken(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        token = self.get_token()
        response = self._send(method, url, token, **kwargs)
        if not _can_be_sent_again(kwargs.get("data")):
            return response
        return self._send(method, url, token, **kwargs) if response.status_code == 401 else response


@breaks(
    clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED]
)
class ReturnsTheAnswerOfTheRefusedCall(ApiClient):
    """Repeats the call, and gives its caller the first answer."""

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        response = self._send(method, url, token := self.get_token(), **kwargs)
        if response.status_code == 401 and _can_be_sent_again(kwargs.get("data")):
            self.tokens.discard(token)
            self._send(method, url, self.get_token(), **kwargs)
        return response


@breaks(clauses.signing.REVOKED)
class ReadsTheReasonOfARefusal(ApiClient):
    """Reads the answer of the API as JSON before it replaces a token, whatever the body is."""

    def _is_token_refused(self, response: requests.Response) -> bool:
        return super()._is_token_refused(response) and isinstance(response.json(), dict)


@breaks(clauses.signing.REVOKED, blocks=[clauses.refresh.SINGLE_LIVE_TOKEN])
class GetsATokenForTheNextCall(ApiClient):
    """Replaces a refused token, and gives its caller the 401 all the same."""

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        response = self._send(method, url, token := self.get_token(), **kwargs)
        if response.status_code == 401:
            self.tokens.discard(token)
            self.get_token()
        return response


@breaks(clauses.signing.NO_RETRY_STORM)
class TriesFiveTimes(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        for _ in range(5 if _can_be_sent_again(kwargs.get("data")) else 1):
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


@breaks(clauses.signing.FORBIDDEN, clauses.signing.NO_REPLAY)
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


@breaks(clauses.signing.CROSS_ORIGIN, clauses.errors.BOUNDED)
class SendsNewTokensToAnotherOriginWithoutEnd(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            location = urljoin(url, response.headers["Location"])
            response = super()._send(method, location, token)
            while response.status_code == 401:
                self.tokens.discard(token)
                token = self.get_token()
                response = super()._send(method, location, token)
        return response


@breaks(clauses.signing.CROSS_ORIGIN)
class ShowsTheTokenInARefererOnRedirect(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        response = super()._send(method, url, token, allow_redirects=False, **kwargs)
        if response.is_redirect:
            location = urljoin(url, response.headers["Location"])
            if _origin_of(location) == self._origin:
                return super()._send(method, location, token)
            headers = {"X-Forwarded-Authorization": f"Bearer {token}"}
            return requests.get(location, headers=headers, timeout=5)
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
    clauses.signing.BODY_READ_ONCE,
    clauses.signing.CALLERS_ARGUMENTS,
    clauses.signing.CROSS_ORIGIN,
    clauses.lifecycle.LIFECYCLE,
    # By then it has hung so often that longer deadlines are cut.
    blocks=[clauses.errors.BOUNDED, clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED],
    deadline=1.0,
    patience=1.5,
)
class DeadlocksWhenItsTokenIsRefused(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        response = self._send(method, url, self.get_token(), **kwargs)
        if response.status_code == 401:
            with self.tokens._lock:
                return self.request(method, url, **kwargs)
        return response
