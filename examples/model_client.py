"""A client of the auth-broker that one can copy into production.

Token management (`TokenManager`) and call signing (`ApiClient`) are apart, as the vendor describes
them. What is easily got wrong is commented with the reason.
"""

from __future__ import annotations

import base64
import math
import re
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests

__all__ = ["AccessToken", "ApiClient", "TokenError", "TokenManager", "make_client"]

LEEWAY_SECONDS = 30.0
DEFAULT_LIFETIME_SECONDS = 300.0
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_UNAUTHORIZED = 401


class TokenError(Exception):
    """No token could be had. ``code`` is the broker's error code, if it gave one."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(f"{message} ({code})" if code else message)


@dataclass(frozen=True)
class AccessToken:
    """A token and the time, in Unix seconds, from which it should be replaced and is worthless."""

    value: str = field(repr=False)
    refresh_at: float
    expires_at: float


class TokenManager:
    """Makes sure that there is always a valid token. Safe to use from many threads."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str = "",
        timeout: float = 10.0,
        verify: bool | str = True,
    ) -> None:
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._timeout = timeout
        self._session = requests.Session()
        # Not the session's verify: the environment may overrule that one.
        self._verify = verify
        self._session.auth = _no_netrc
        self._token: AccessToken | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"TokenManager({self._token_url!r}, client_id={self._client_id!r})"

    def get_token(self) -> str:
        """A token that is valid now. Raises TokenError if none can be had."""
        # One thread fetches; the others wait for what it got.
        with self._lock:
            now = time.time()
            if self._token is None or now >= self._token.refresh_at:
                self._token = self._refreshed(now)
            return self._token.value

    def _refreshed(self, now: float) -> AccessToken:
        try:
            return self.fetch_token()
        except TokenError:
            # An outage while the token is still good is no reason to fail the caller.
            if self._token is not None and now < self._token.expires_at:
                return self._token
            raise

    def discard(self, value: str) -> None:
        """Forget a token that the API refused, unless another thread has replaced it already."""
        with self._lock:
            if self._token is not None and self._token.value == value:
                self._token = None

    def fetch_token(self) -> AccessToken:
        """Ask the broker for a token. Raises TokenError."""
        # Counted from before the request: the lifetime runs while the answer is on its way.
        asked_at = time.time()
        return self.read_token(self.send_token_request(), asked_at)

    def send_token_request(self) -> requests.Response:
        """Send the token request. Raises TokenError if no complete answer comes."""
        try:
            return self._session.post(
                self._token_url,
                data=self.token_parameters(),
                headers=self.token_headers(),
                timeout=self._timeout,
                verify=self._verify,
                # A redirect would carry the credentials to wherever it points.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise TokenError(f"the auth-broker cannot be reached: {type(error).__name__}") from None

    def token_parameters(self) -> dict[str, str]:
        """The body of the token request."""
        scope = {"scope": self._scope} if self._scope else {}
        return {"grant_type": "client_credentials", **scope}

    def token_headers(self) -> dict[str, str]:
        """The headers of the token request."""
        return {"Authorization": self.basic(), "Accept": "application/json"}

    def basic(self) -> str:
        """The Authorization header of the token request."""
        # Not requests' auth=(id, secret): that one encodes as Latin-1, and fails beyond it.
        pair = f"{self._client_id}:{self._client_secret}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        """The token that the broker's answer holds. Raises TokenError if it holds none."""
        if response.status_code != requests.codes.ok:
            message = f"the auth-broker refused with status {response.status_code}"
            raise TokenError(message, _error_code(response))
        members = _json_object(response)
        lifetime = self.lifetime_of(members)
        return AccessToken(
            self.token_of(members),
            refresh_at=asked_at + self.time_until_refresh(lifetime),
            expires_at=asked_at + lifetime,
        )

    def token_of(self, members: dict[str, Any]) -> str:
        """The access token among the answer's members. Raises TokenError if there is none."""
        value, token_type = members.get("access_token"), members.get("token_type", "bearer")
        if not isinstance(value, str) or not _B64TOKEN.fullmatch(value):
            raise TokenError("the auth-broker's answer has no usable access_token")
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            raise TokenError("the auth-broker's token is of a type other than bearer")
        return value

    def lifetime_of(self, members: dict[str, Any]) -> float:
        """The lifetime in seconds among the answer's members. Raises TokenError."""
        expires_in = members.get("expires_in")
        if expires_in is None:
            return DEFAULT_LIFETIME_SECONDS
        try:
            lifetime = float(expires_in)
        except (TypeError, ValueError):
            lifetime = math.nan
        if isinstance(expires_in, bool) or not math.isfinite(lifetime):
            raise TokenError("the auth-broker's expires_in is no number of seconds")
        return lifetime

    def time_until_refresh(self, lifetime: float) -> float:
        """After how many seconds a token of that lifetime is replaced."""
        return lifetime - LEEWAY_SECONDS

    def close(self) -> None:
        """Close the connections to the broker."""
        self._session.close()


class ApiClient:
    """Signs calls of the API. Use it as a context manager, or close it."""

    def __init__(
        self,
        tokens: TokenManager,
        api_base_url: str,
        *,
        timeout: float = 10.0,
        verify: bool | str = True,
    ) -> None:
        self.tokens = tokens
        self._origin = _origin_of(api_base_url)
        self._timeout = timeout
        self._verify = verify
        self._session = requests.Session()

    def get_token(self) -> str:
        """A token that is valid now. Raises TokenError if none can be had."""
        return self.tokens.get_token()

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Make a signed call; the arguments are those of `requests.Session.request`.

        Raises TokenError if no token can be had, ValueError for a URL that is not the API's.
        """
        if _origin_of(url) != self._origin:
            raise ValueError(f"{url!r} is not of {self._origin}: it must not get the token")
        token = self.get_token()
        response = self.send(method, url, token, **kwargs)
        if self.is_token_refused(response):
            response.close()
            self.tokens.discard(token)
            response = self.send(method, url, self.get_token(), **kwargs)
        return response

    def send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        """Make the call with that token. The Session drops it when another origin is next."""
        kwargs = {"timeout": self._timeout, "verify": self._verify, **kwargs}
        return self._session.request(method, url, auth=self.sign(token), **kwargs)

    def sign(self, token: str) -> requests.auth.AuthBase:
        """What puts the token into a request."""
        return _Bearer(token)

    def is_token_refused(self, response: requests.Response) -> bool:
        """Whether another token may help (RFC 6750, 3.1); for a 403 none does."""
        return response.status_code == _UNAUTHORIZED

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        self.tokens.close()

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Bearer(requests.auth.AuthBase):
    """Puts a token into the Authorization header, and keeps it out of any repr."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Without any auth, requests looks into ~/.netrc and overrides the Authorization header.
    return request


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _json_object(response: requests.Response) -> dict[str, Any]:
    try:
        members = response.json()
    except ValueError:
        raise TokenError("the auth-broker's answer is not JSON") from None
    if not isinstance(members, dict):
        raise TokenError("the auth-broker's answer is no JSON object")
    return members


def _error_code(response: requests.Response) -> str:
    try:
        code = _json_object(response).get("error")
    except TokenError:
        return ""
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""


def make_client(config: Any) -> ApiClient:
    """The client that the contract run checks."""
    verify = config.ca_file or True
    tokens = TokenManager(
        config.token_url,
        config.client_id,
        config.client_secret,
        scope=config.scope,
        timeout=config.timeout,
        verify=verify,
    )
    return ApiClient(tokens, config.api_base_url, timeout=config.timeout, verify=verify)
