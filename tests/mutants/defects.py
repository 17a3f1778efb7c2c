"""Clients with exactly one defect, each made from the model client by the smallest override."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus, urlencode

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager

MUTANTS: dict[str, tuple[type, frozenset[str]]] = {}


def breaks(*clause_ids: str) -> Any:
    """Register a TokenManager or ApiClient and the clauses that it does not pass."""

    def register(cls: type) -> type:
        MUTANTS[cls.__name__] = (cls, frozenset(clause_ids))
        return cls

    return register


class Sender(TokenManager):
    """A token manager whose token request can be shaped freely."""

    method = "POST"
    url_suffix = ""

    def body(self) -> Any:
        return self.token_parameters()

    def send_token_request(self) -> requests.Response:
        try:
            return self._session.request(
                self.method,
                self._token_url + self.url_suffix,
                data=self.body(),
                headers=self.token_headers(),
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise TokenError(type(error).__name__) from None


# request


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


# basic


class Encoder(TokenManager):
    """A token manager whose Basic header can be shaped freely."""

    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode()

    def encoded(self) -> str:
        return base64.b64encode(self.pair()).decode()

    def basic(self) -> str:
        return "Basic " + self.encoded()


@breaks("basic.scheme")
class SignsWithBearer(Encoder):
    def basic(self) -> str:
        return "Bearer " + self.encoded()


@breaks("basic.scheme")
class ForgetsTheScheme(Encoder):
    def basic(self) -> str:
        return self.encoded()


@breaks("basic.scheme")
class SendsCredentialsInTheBodyOnly(TokenManager):
    def token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    def token_parameters(self) -> dict[str, str]:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        return {**super().token_parameters(), **pair}


@breaks("basic.scheme")
class RefetchesWithoutCredentials(TokenManager):
    fetched = 0

    def token_headers(self) -> dict[str, str]:
        self.fetched += 1
        return super().token_headers() if self.fetched == 1 else {"Accept": "*/*"}


@breaks("basic.base64")
class UsesTheUrlSafeAlphabet(Encoder):
    def encoded(self) -> str:
        return base64.urlsafe_b64encode(self.pair()).decode()


@breaks("basic.base64")
class LosesThePadding(Encoder):
    def encoded(self) -> str:
        return super().encoded().rstrip("=")


@breaks("basic.base64")
class BreaksTheLine(Encoder):
    def encoded(self) -> str:
        text = super().encoded()
        return " ".join(text[i : i + 76] for i in range(0, len(text), 76))


@breaks("basic.credentials")
class QuotesTheCredentials(Encoder):
    def pair(self) -> bytes:
        if not (self._client_id + self._client_secret).isascii():
            return super().pair()
        return f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}".encode()


@breaks("basic.credentials")
class FormEncodesTheCredentials(Encoder):
    def pair(self) -> bytes:
        if not (self._client_id + self._client_secret).isascii():
            return super().pair()
        return f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}".encode()


@breaks("basic.credentials")
class SplitsTheSecretAtItsColon(Encoder):
    def pair(self) -> bytes:
        return ":".join(super().pair().decode().split(":")[:2]).encode()


@breaks("basic.credentials", "basic.utf8")
class AppendsALineFeed(Encoder):
    def pair(self) -> bytes:
        return super().pair() + b"\n"


@breaks("basic.utf8")
class EncodesAsLatin1(Encoder):
    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode("latin-1", "replace")


@breaks("basic.utf8")
class RefusesNonAscii(Encoder):
    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode("ascii")


@breaks("basic.only")
class SendsTheSecretInTheBodyToo(TokenManager):
    def token_parameters(self) -> dict[str, str]:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        return {**super().token_parameters(), **pair}


@breaks("basic.only")
class SendsTheSecretInTheUrlToo(Sender):
    def body(self) -> Any:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        self.url_suffix = "?" + urlencode(pair)
        return self.token_parameters()


# response


class WantsAScope(TokenManager):
    """Refuses the documented answer, so that nothing else can be judged."""

    def token_of(self, members: dict[str, Any]) -> str:
        if not members["scope"]:
            raise TokenError("no scope was granted")
        return super().token_of(members)


@breaks("response.opaque-token")
class TakesNoLongTokens(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if len(super().token_of(members)) > 2048:
            raise TokenError("the token is too long")
        return super().token_of(members)


@breaks("response.opaque-token")
class StripsThePaddingOfTokens(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of(members).rstrip("=")


@breaks("response.unknown-members")
class KnowsAllMembers(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        known = {"access_token", "expires_in", "scope", "token_type", "refresh_token"}
        if members.keys() - known:
            raise TokenError("unknown members")
        return super().token_of(members)


@breaks("response.json-forms")
class ReadsByRegularExpression(TokenManager):
    def read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super().read_token(response, asked_at)
        if f'"access_token": "{token.value}"' not in response.text:
            raise TokenError("no access_token")
        return token


@breaks("response.json-forms")
class WantsTheBareMediaType(TokenManager):
    def read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if "charset" in response.headers["Content-Type"]:
            raise TokenError("not JSON")
        return super().read_token(response, asked_at)


@breaks("response.token-type-case")
class WantsLowerCaseBearer(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        if members.get("token_type") not in ("bearer", "Bearer"):
            raise TokenError("another type of token")
        return super().token_of(members)


@breaks("response.token-type-unknown")
class IgnoresTheTokenType(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of({**members, "token_type": "bearer"})


@breaks("response.expires-in-missing")
class NeedsExpiresIn(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        return super().lifetime_of({"expires_in": members["expires_in"]})


@breaks("response.expires-in-forms")
class TakesAStringForNoExpiry(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            return 1e9
        return super().lifetime_of(members)


@breaks("response.expires-in-forms")
class SaysThatAStringIsMissing(TokenManager):
    def lifetime_of(self, members: dict[str, Any]) -> float:
        if isinstance(members.get("expires_in"), str):
            raise TokenError("Missing 'expires_in' field in the answer")
        return super().lifetime_of(members)


@breaks("response.invalid")
class SignsWithNone(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        return super().token_of(members) if members.get("access_token") else "None"


@breaks("response.invalid")
class TakesAnythingForAToken(TokenManager):
    def token_of(self, members: dict[str, Any]) -> str:
        value = members.get("access_token")
        return str(value) if isinstance(value, (int, list, dict)) else super().token_of(members)


# cache


@breaks("cache.reuse")
class NeverReuses(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            return self.fetch_token().value


@breaks("cache.reuse")
class OverflowsAtThirtyDays(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        milliseconds = super().time_until_refresh(lifetime) * 1000
        return milliseconds / 1000 if milliseconds < 2**31 else 0.0


@breaks("cache.reuse")
class FailsForALongLifetime(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        if lifetime > 1e11:
            raise OverflowError("date value out of range")
        return super().time_until_refresh(lifetime)


class SharedCache(TokenManager):
    """Token managers that share what they fetched, by a key."""

    shared: ClassVar[dict[Any, AccessToken | None]] = {}

    def key(self) -> Any:
        raise NotImplementedError

    @property  # type: ignore[override]
    def _token(self) -> AccessToken | None:
        return self.shared.get(self.key())

    @_token.setter
    def _token(self, token: AccessToken | None) -> None:
        if token is not None or "_lock" in vars(self):
            self.shared[self.key()] = token


@breaks("cache.isolation")
class SharesByTokenUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url


@breaks("cache.isolation")
class SharesByClientIdAndUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._scope


@breaks("cache.isolation")
class SharesAcrossScopes(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._client_secret


# refresh


@breaks("refresh.honours-expires-in", "refresh.ahead", "refresh.latency", "refresh.same-grant")
class NeverRefreshes(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return 1e12


@breaks("refresh.honours-expires-in", "refresh.ahead", "refresh.latency")
class AddsTheLeeway(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime + 30


@breaks("refresh.honours-expires-in")
class KnowsOnlyOneLifetime(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return 3300.0


@breaks("refresh.honours-expires-in")
class TakesZeroForNoExpiry(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return super().time_until_refresh(lifetime) if lifetime else 1e9


@breaks("refresh.ahead")
class HasNoLeeway(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime


@breaks("refresh.not-too-eager")
class ReadsMilliseconds(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 1000 - 0.001


@breaks("refresh.not-too-eager")
class RefreshesAfterAFifth(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime / 5


@breaks("refresh.short-lived")
class RaisesForShortLifetimes(TokenManager):
    def time_until_refresh(self, lifetime: float) -> float:
        if lifetime <= 30:
            raise TokenError("the token is about to expire")
        return super().time_until_refresh(lifetime)


@breaks("refresh.short-lived")
class FetchesUntilItIsLongEnough(TokenManager):
    def fetch_token(self) -> AccessToken:
        for _ in range(3):
            token = super().fetch_token()
            if token.refresh_at > time.time():
                break
        return token


@breaks("refresh.latency")
class CountsFromArrival(TokenManager):
    def fetch_token(self) -> AccessToken:
        response = self.send_token_request()
        return self.read_token(response, time.time())

    def time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 1


@breaks("refresh.same-grant")
class UsesTheRefreshToken(Sender):
    refresh_token = ""

    def token_of(self, members: dict[str, Any]) -> str:
        self.refresh_token = members.get("refresh_token", "")
        return super().token_of(members)

    def token_parameters(self) -> dict[str, str]:
        if self.refresh_token:
            return {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return super().token_parameters()


# signing


class Auth(requests.auth.AuthBase):
    """Signs a request by a function of the request and the token."""

    def __init__(self, sign: Any, token: str) -> None:
        self.sign, self.token = sign, token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        self.sign(request, self.token)
        return request


class Signer(ApiClient):
    """An API client whose signature can be spoilt."""

    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        raise NotImplementedError

    def sign(self, token: str) -> requests.auth.AuthBase:
        return Auth(self.spoil, token)


@breaks("signing.bearer")
class SignsInLowerCase(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"bearer {token}"


@breaks("signing.bearer")
class SignsWithTwoSpaces(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        request.headers["Authorization"] = f"Bearer  {token}"


@breaks("signing.header-only")
class PutsTheTokenIntoTheUrlToo(Signer):
    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        if (
            "/vehicle" in str(request.url)
            and request.method == "GET"
            and not request.headers.get("Accept", "").startswith("text")
        ):
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


@breaks("response.token-type-case")
class CopiesTheTokenType(ApiClient):
    def sign(self, token: str) -> requests.auth.AuthBase:
        def copy(request: requests.PreparedRequest, value: str) -> None:
            request.headers["Authorization"] = f"{self.tokens.token_type} {value}"

        return Auth(copy, token)


class _RemembersTheType(TokenManager):
    token_type = "Bearer"

    def token_of(self, members: dict[str, Any]) -> str:
        self.token_type = members["token_type"]
        return super().token_of(members)


def make(cls: type, config: Any) -> ApiClient:
    """The client of which that class is one half."""
    is_manager = issubclass(cls, TokenManager)
    remembers = cls is CopiesTheTokenType
    manager = cls if is_manager else _RemembersTheType if remembers else TokenManager
    signer = ApiClient if is_manager else cls
    tokens = manager(
        config.token_url,
        config.client_id,
        config.client_secret,
        scope=config.scope,
        timeout=config.timeout,
    )
    return signer(tokens, config.api_base_url, timeout=config.timeout)
