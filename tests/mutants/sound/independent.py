"""Sound clients that share no code with the model client, each of another design."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import http.client
import json
import os
import select
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx

from mockbroker.contract import clauses
from tests.mutants.sound.registry import passes_all_but

FORM = "application/x-www-form-urlencoded"


class NoTokenError(Exception):
    """Failure to get a token; the message names the broker's error code, if it sent one."""


class Token(NamedTuple):
    value: str
    refresh_at: float
    expires_at: float


class Answer(NamedTuple):
    status: int
    body: bytes


def basic(config: Any) -> str:
    pair = f"{config.client_id}:{config.client_secret}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def fields(config: Any) -> dict[str, str]:
    scope = {"scope": config.scope} if config.scope else {}
    return {"grant_type": "client_credentials", **scope, **config.parameters}


def token_headers(config: Any) -> dict[str, str]:
    return {
        "Authorization": basic(config),
        "Content-Type": FORM,
        "Accept": "application/json",
    }


def read_token(answer: Answer, asked_at: float, leeway: float) -> Token:
    try:
        members = json.loads(answer.body)
    except ValueError:
        members = None
    if answer.status != 200:
        code = members.get("error") if isinstance(members, dict) else ""
        raise NoTokenError(f"status {answer.status} {code if isinstance(code, str) else ''}")
    if not isinstance(members, dict):
        raise NoTokenError("the answer is not a JSON object")
    value, kind = members.get("access_token"), members.get("token_type")
    if not isinstance(value, str) or not value:
        raise NoTokenError("the answer has no access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoTokenError("the token is not a bearer token")
    lifetime = members.get("expires_in", 600)
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)):
        raise NoTokenError("expires_in is not a number")
    return Token(value, asked_at + lifetime - leeway, asked_at + lifetime)


def origin_of(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def trust(config: Any) -> ssl.SSLContext:
    return _trust(config.ca_file)


# Reading the system's certificates takes longer than a test case.
@functools.cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:  # type: ignore[override]
        return None


class _Urllib:
    """The standard library only: urllib.request, one lock, no connection that is kept."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._token: Token | None = None
        self._lock = threading.Lock()
        self._opener = urllib.request.build_opener(
            _NoRedirect,
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=trust(config)),
        )

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=self._config.timeout) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    def _fetch(self) -> Token:
        asked_at = time.time()
        body = urlencode(fields(self._config)).encode()
        request = urllib.request.Request(
            self._config.token_url, body, token_headers(self._config), method="POST"
        )
        try:
            answer = self._open(request)
        except (OSError, http.client.HTTPException) as error:
            raise NoTokenError(f"no answer: {type(error).__name__}") from None
        return read_token(answer, asked_at, leeway=45)

    def get_token(self) -> str:
        with self._lock:
            if self._token is None or time.time() >= self._token.refresh_at:
                try:
                    self._token = self._fetch()
                except NoTokenError:
                    if self._token is None or time.time() >= self._token.expires_at:
                        raise
            return self._token.value

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        if origin_of(url) != origin_of(self._config.api_base_url):
            raise ValueError("this client signs calls of its API only")
        if not isinstance(kwargs.get("data"), (str, bytes, type(None))):
            # An iterator can be read once, and the call may have to be repeated.
            kwargs["data"] = b"".join(kwargs["data"])
        token = self.get_token()
        answer = self._call(method, url, token, **kwargs)
        if answer.status == 401:
            with self._lock:
                if self._token is not None and self._token.value == token:
                    self._token = None
            answer = self._call(method, url, self.get_token(), **kwargs)
        return answer

    def _call(self, method: str, url: str, token: str, **kwargs: Any) -> Answer:
        query = f"?{urlencode(kwargs['params'])}" if kwargs.get("params") else ""
        headers = {**(kwargs.get("headers") or {}), "Authorization": f"Bearer {token}"}
        body = kwargs.get("data")
        body = body.encode() if isinstance(body, str) else body
        return self._open(urllib.request.Request(url + query, body, headers, method=method))


@passes_all_but()
def by_urllib(config: Any) -> Any:
    return _Urllib(config)


class _WaitsForAFuture(_Urllib):
    """The first caller fetches, the others wait for its future, without a lock held meanwhile."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._pending: concurrent.futures.Future[Token] | None = None
        os.register_at_fork(after_in_child=self._forget_pending)

    def _forget_pending(self) -> None:
        self._pending, self._lock = None, threading.Lock()

    def get_token(self) -> str:
        with self._lock:
            token = self._token
            if token is not None and time.time() < token.refresh_at:
                return token.value
            pending, is_mine = self._pending, self._pending is None
            if pending is None:
                pending = self._pending = concurrent.futures.Future()
        if not is_mine:
            return pending.result().value
        try:
            found = self._found(token)
        except BaseException as error:
            self._settle(None)
            pending.set_exception(error)
            raise
        self._settle(found)
        pending.set_result(found)
        return found.value

    def _found(self, previous: Token | None) -> Token:
        try:
            return self._fetch()
        except NoTokenError:
            if previous is None or time.time() >= previous.expires_at:
                raise
            return previous

    def _settle(self, token: Token | None) -> None:
        with self._lock:
            self._pending = None
            self._token = token or self._token


@passes_all_but()
def with_a_future(config: Any) -> Any:
    return _WaitsForAFuture(config)


class _KeepsAConnection(_Urllib):
    """http.client on one connection for each origin, opened again if it was closed meanwhile."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._kept = threading.local()

    def _connection(self, request: urllib.request.Request) -> http.client.HTTPConnection:
        key = (os.getpid(), request.type, request.host)
        kept = self._kept.__dict__
        if key not in kept:
            timeout = self._config.timeout
            kept[key] = (
                http.client.HTTPSConnection(
                    request.host, timeout=timeout, context=trust(self._config)
                )
                if request.type == "https"
                else http.client.HTTPConnection(request.host, timeout=timeout)
            )
        return kept[key]  # type: ignore[no-any-return]

    def _open(self, request: urllib.request.Request) -> Answer:
        connection = self._connection(request)
        if connection.sock is not None and _is_closed(connection.sock):
            connection.close()
        headers = {name.title(): value for name, value in request.header_items()}
        try:
            connection.request(request.get_method(), request.selector, request.data, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except BaseException:
            connection.close()
            raise


def _is_closed(sock: Any) -> bool:
    """Whether the peer has closed an idle connection: it is readable, though nothing is due."""
    return bool(select.select([sock], [], [], 0)[0])


@passes_all_but()
def by_http_client(config: Any) -> Any:
    return _KeepsAConnection(config)


class _InAThread(_Urllib):
    """A thread refreshes when an event wakes it or the time has come; uses look at it as well."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._wake, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None

    def _fetch(self) -> Token:
        token = super()._fetch()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._refresh, daemon=True)
            self._thread.start()
        self._wake.set()
        return token

    def _refresh(self) -> None:
        while not self._closed:
            token = self._token
            wait = 60.0 if token is None else token.refresh_at - time.time()
            self._wake.wait(min(max(wait, 1.0), 3600.0))
            if self._wake.is_set():
                self._wake.clear()
                continue
            with contextlib.suppress(NoTokenError):
                self.get_token()

    def close(self) -> None:
        self._closed = True
        self._wake.set()


@passes_all_but()
def in_a_thread_that_waits_for_an_event(config: Any) -> Any:
    return _InAThread(config)


class _TriesAgain(_Urllib):
    """Three attempts when the broker fails, unless it says when to come again."""

    def _open(self, request: urllib.request.Request) -> Answer:
        if request.full_url != self._config.token_url:
            return super()._open(request)
        for pause in (0.01, 0.02):
            try:
                with self._opener.open(request, timeout=self._config.timeout) as response:
                    return Answer(response.status, response.read())
            except urllib.error.HTTPError as error:
                with error:
                    if error.code < 500 or error.headers.get("Retry-After"):
                        return Answer(error.code, error.read())
            time.sleep(pause)
        return super()._open(request)


@passes_all_but()
def tries_three_times(config: Any) -> Any:
    return _TriesAgain(config)


class _SharesAFile(_Urllib):
    """Processes share a private file, under a lock of the system: one of them fetches."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        about = [config.token_url, config.client_id, config.client_secret, config.scope]
        name = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        self._file = Path.home() / ".cache" / "shared-tokens" / name

    def _fetch(self) -> Token:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT
            descriptor = os.open(self._file, flags, 0o600)
        except OSError:
            return super()._fetch()
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            stored = self._stored(file)
            if stored is not None:
                return stored
            token = super()._fetch()
            with contextlib.suppress(OSError):
                file.seek(0)
                file.truncate()
                json.dump(token, file)
                file.flush()
            return token

    def _stored(self, file: Any) -> Token | None:
        try:
            token = Token(*json.load(file))
            is_new = token.value != self._refused and time.time() < token.refresh_at
        except (OSError, ValueError, TypeError):
            return None
        return token if is_new else None

    _refused = ""

    def _call(self, method: str, url: str, token: str, **kwargs: Any) -> Answer:
        answer = super()._call(method, url, token, **kwargs)
        if answer.status == 401:
            self._refused = token
        return answer


@passes_all_but()
def with_a_file_of_several_processes(config: Any) -> Any:
    return _SharesAFile(config)


class _AsyncChallenged(httpx.Auth):
    """The flow of many protocol kits: unsigned at first, a token when the API asks for one."""

    requires_response_body = True

    def __init__(self, config: Any) -> None:
        self._config = config
        self._token: Token | None = None
        self._api = config.api_base_url + "/"

    def auth_flow(self, request: httpx.Request) -> Any:
        if not str(request.url).startswith(self._api):
            yield request
            return
        kept = self._token
        if kept is not None and time.time() < kept.refresh_at:
            request.headers["Authorization"] = f"Bearer {kept.value}"
        response = yield request
        if response.status_code != 401:
            return
        if self._token is kept:
            asked_at = time.time()
            answer = yield httpx.Request(
                "POST",
                self._config.token_url,
                data=fields(self._config),
                headers=token_headers(self._config),
                extensions=request.extensions,
            )
            self._token = read_token(Answer(answer.status_code, answer.content), asked_at, 20)
        if self._token is None:
            raise NoTokenError("the client has not got a token")
        if not isinstance(request.stream, httpx.ByteStream):
            raise NoTokenError("the call was refused, and its body cannot be sent again")
        request.headers["Authorization"] = f"Bearer {self._token.value}"
        yield request


# A connection of httpx belongs to the loop in which it was opened.
@passes_all_but(
    clauses.cache.SINGLE_FLIGHT, clauses.cache.EVENT_LOOPS, clauses.refresh.OUTAGE_WHILE_VALID
)
def async_and_challenged(config: Any) -> Any:
    return httpx.AsyncClient(
        auth=_AsyncChallenged(config), verify=trust(config), timeout=config.timeout
    )


class _InATask:
    """A task of the running loop refreshes; each use looks at the clock as well."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._token: Token | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _enter(self) -> None:
        """Begin with connections, a lock and no task in a new loop."""
        if self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            self._http = httpx.AsyncClient(
                verify=trust(self._config), timeout=self._config.timeout, trust_env=False
            )
            self._lock = asyncio.Lock()
            self._task: asyncio.Task[None] | None = None

    async def get_token(self) -> str:
        self._enter()
        async with self._lock:
            if self._token is None or time.time() >= self._token.refresh_at:
                try:
                    self._token = await self._fetch()
                except NoTokenError:
                    if self._token is None or time.time() >= self._token.expires_at:
                        raise
            return self._token.value

    async def _fetch(self) -> Token:
        asked_at = time.time()
        try:
            response = await self._http.post(
                self._config.token_url,
                data=fields(self._config),
                headers=token_headers(self._config),
            )
        except httpx.HTTPError as error:
            raise NoTokenError(f"no answer: {type(error).__name__}") from None
        token = read_token(Answer(response.status_code, response.content), asked_at, 60)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._refresh())
        return token

    async def _refresh(self) -> None:
        while True:
            token = self._token
            wait = 60.0 if token is None else token.refresh_at - time.time()
            await asyncio.sleep(min(max(wait, 1.0), 3600.0))
            with contextlib.suppress(NoTokenError):
                await self.get_token()

    async def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        if origin_of(url) != origin_of(self._config.api_base_url):
            raise ValueError("this client signs calls of its API only")
        token = await self.get_token()
        response = await self._call(method, url, token, kwargs)
        if response.status_code == 401:
            async with self._lock:
                if self._token is not None and self._token.value == token:
                    self._token = None
            body = kwargs.get("content", kwargs.get("data"))
            if body is None or isinstance(body, (bytes, str, dict)):
                response = await self._call(method, url, await self.get_token(), kwargs)
        return response

    async def _call(self, method: str, url: str, token: str, kwargs: Any) -> httpx.Response:
        headers = {**(kwargs.get("headers") or {}), "Authorization": f"Bearer {token}"}
        return await self._http.request(method, url, **{**kwargs, "headers": headers})

    async def aclose(self) -> None:
        self._enter()
        if self._task is not None:
            self._task.cancel()
        await self._http.aclose()


@passes_all_but()
def in_a_task(config: Any) -> Any:
    return _InATask(config)
