"""Asynchronous client of the auth-broker, on httpx, written to be copied into production."""

from __future__ import annotations

import asyncio
import base64
import math
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import httpx

__all__ = [
    "AccessToken",
    "AsyncApiClient",
    "AsyncTokenManager",
    "Connections",
    "TokenError",
    "make_client",
]

LEEWAY_SECONDS = 30.0
DEFAULT_LIFETIME_SECONDS = 300.0
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class TokenError(Exception):
    """Failure to obtain a token; ``code`` is the broker's error code, if it sent one."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(f"{message} ({code})" if code else message)


@dataclass(frozen=True)
class AccessToken:
    """Token, and the times in Unix seconds at which it should be replaced and expires."""

    value: str = field(repr=False)
    refresh_at: float
    expires_at: float


class Connections:
    """HTTP client and lock for the running event loop.

    A connection or a lock of one loop raises in another. Programs that call asyncio.run() several
    times have several loops.
    """

    def __init__(self, make_http: Callable[[], httpx.AsyncClient]) -> None:
        self._make_http = make_http
        # Weak, so that what belongs to a closed loop is dropped with it.
        self._of_loops: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, asyncio.Lock]
        ] = WeakKeyDictionary()

    @property
    def http(self) -> httpx.AsyncClient:
        """The HTTP client of the running loop."""
        return self._of_running_loop()[0]

    @property
    def lock(self) -> asyncio.Lock:
        """The lock of the running loop."""
        return self._of_running_loop()[1]

    def _of_running_loop(self) -> tuple[httpx.AsyncClient, asyncio.Lock]:
        loop = asyncio.get_running_loop()
        if loop not in self._of_loops:
            self._of_loops[loop] = (self._make_http(), asyncio.Lock())
        return self._of_loops[loop]


class AsyncTokenManager:
    """Cache that always has a valid token. Safe to use from many tasks of a loop."""

    def __init__(
        self,
        connections: Connections,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str = "",
    ) -> None:
        self._connections = connections
        self._token_url = token_url
        pair = f"{client_id}:{client_secret}".encode()
        self._basic = "Basic " + base64.b64encode(pair).decode("ascii")
        self._scope = scope
        self._token: AccessToken | None = None

    async def get_token(self) -> str:
        """Return a token that is valid now. Raises TokenError if the broker issues none."""
        # One task fetches; the others wait for what it got.
        async with self._connections.lock:
            if self._token is None or time.time() >= self._token.refresh_at:
                self._token = await self._refreshed()
            return self._token.value

    async def discard(self, value: str) -> None:
        """Discard a token that the API rejected, unless another task has replaced it already."""
        async with self._connections.lock:
            if self._token is not None and self._token.value == value:
                self._token = None

    async def _refreshed(self) -> AccessToken:
        try:
            return await self._fetch()
        except TokenError:
            # A valid token outlasts an outage, so the caller need not fail. The attempt may have
            # taken long, so the clock is read again.
            if self._token is not None and time.time() < self._token.expires_at:
                return self._token
            raise

    async def _fetch(self) -> AccessToken:
        # Counted from before the request: the lifetime runs while the answer is on its way.
        asked_at = time.time()
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        try:
            response = await self._connections.http.post(
                self._token_url,
                data=form,
                headers={"Authorization": self._basic, "Accept": "application/json"},
                # A redirect would carry the credentials to wherever it points.
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise TokenError(f"the auth-broker cannot be reached: {type(error).__name__}") from None
        return _read(response, asked_at)


class AsyncApiClient:
    """Client of the API that signs its calls. Use it as a context manager, or close it."""

    def __init__(
        self, connections: Connections, tokens: AsyncTokenManager, api_base_url: str
    ) -> None:
        self._connections = connections
        self._tokens = tokens
        self._origin = _origin_of(api_base_url)

    async def get_token(self) -> str:
        """Return a token that is valid now. Raises TokenError if the broker issues none."""
        return await self._tokens.get_token()

    async def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """Make a signed call; the arguments are those of `httpx.AsyncClient.request`.

        Redirects are not followed unless asked for; httpx drops the token when another origin is
        next. Raises TokenError without a valid token, ValueError for a URL not of the API.
        """
        if _origin_of(url) != self._origin:
            raise ValueError(f"{url!r} is not of {self._origin}: it must not get the token")
        token = await self.get_token()
        response = await self._send(method, url, token, kwargs)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await self._tokens.discard(token)
            if not all(map(_can_be_sent_again, map(kwargs.get, ("content", "data")))):
                return response
            response = await self._send(method, url, await self.get_token(), kwargs)
        return response

    async def _send(
        self, method: str, url: str, token: str, options: dict[str, Any]
    ) -> httpx.Response:
        headers = httpx.Headers(options.get("headers"))
        headers["Authorization"] = f"Bearer {token}"
        return await self._connections.http.request(method, url, **{**options, "headers": headers})

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._connections.http.aclose()

    async def __aenter__(self) -> AsyncApiClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _can_be_sent_again(body: Any) -> bool:
    # An iterator or a file has been read to its end: sent again, the body would be empty.
    return body is None or isinstance(body, (bytes, str, Mapping))


def _origin_of(url: str) -> tuple[str, bytes]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.netloc


def _read(response: httpx.Response, asked_at: float) -> AccessToken:
    if response.status_code != httpx.codes.OK:
        message = f"the auth-broker refused with status {response.status_code}"
        raise TokenError(message, _error_code(response))
    members = _json_object(response)
    value, token_type = members.get("access_token"), members.get("token_type", "bearer")
    if not isinstance(value, str) or not _B64TOKEN.fullmatch(value):
        raise TokenError("the auth-broker's answer has no usable access_token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenError("the auth-broker's token is of a type other than bearer")
    lifetime = _lifetime(members.get("expires_in"))
    return AccessToken(value, asked_at + lifetime - LEEWAY_SECONDS, asked_at + lifetime)


def _lifetime(expires_in: object) -> float:
    if expires_in is None:
        return DEFAULT_LIFETIME_SECONDS
    try:
        lifetime = float(expires_in)  # type: ignore[arg-type]  # that is what is being tried
    except (TypeError, ValueError):
        lifetime = math.nan
    if isinstance(expires_in, bool) or not math.isfinite(lifetime):
        raise TokenError("the auth-broker's expires_in is not a number of seconds")
    return lifetime


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        members = response.json()
    except ValueError:
        raise TokenError("the auth-broker's answer is not JSON") from None
    if not isinstance(members, dict):
        raise TokenError("the auth-broker's answer is not a JSON object")
    return members


def _error_code(response: httpx.Response) -> str:
    try:
        code = _json_object(response).get("error")
    except TokenError:
        return ""
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""


def make_client(config: Any) -> AsyncApiClient:
    """Return the client that `mockbroker check` judges."""
    verify = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
    connections = Connections(lambda: httpx.AsyncClient(timeout=config.timeout, verify=verify))
    tokens = AsyncTokenManager(
        connections, config.token_url, config.client_id, config.client_secret, scope=config.scope
    )
    return AsyncApiClient(connections, tokens, config.api_base_url)
