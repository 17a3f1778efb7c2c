"""Sound variants of the model client and its asynchronous sibling."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import os
import random
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import requests

from examples import async_client
from examples.async_client import AsyncTokenManager
from examples.model_client import (
    AccessToken,
    ApiClient,
    TokenError,
    TokenManager,
    make_client,
)
from mockbroker.contract import clauses
from tests.mutants.defects.cache import NeverReuses
from tests.mutants.defects.refresh import HasNoLeeway
from tests.mutants.sound.registry import passes_all_but
from tests.mutants.workshop import Encoder, FileKeeper, OwnClock, make, make_async


class Proportional(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime * 0.8


class Jittered(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - random.uniform(300, 599)


class Generous(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 600


class WritesQueriesInAnotherForm(ApiClient):
    """A client whose HTTP library keeps a query as lists of values, and encodes it itself."""

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        return super().request(method, _in_another_form(url), **kwargs)


def _in_another_form(url: str) -> str:
    parts = urlsplit(url)
    lists = parse_qs(parts.query, keep_blank_values=True)
    return urlunsplit(parts._replace(query=urlencode(lists, doseq=True)))


class LowerCaseBasic(Encoder):
    def _basic(self) -> str:
        return "basic " + self.encoded()


class WithCharset(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        form = "application/x-www-form-urlencoded; charset=UTF-8"
        return {**super()._token_headers(), "Content-Type": form}


class LeavesOutTheScope(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {"grant_type": "client_credentials"}


class Cautious(TokenManager):
    """Sorts scopes, compares the granted ones, keeps no token longer than an hour, and decompresses
    nothing.
    """

    def _token_parameters(self) -> dict[str, str]:
        scope = {"scope": " ".join(sorted(self._scope.split()))} if self._scope else {}
        return {**super()._token_parameters(), **scope}

    def _token_of(self, members: dict[str, Any]) -> str:
        if not set(self._scope.split()) <= set(members.get("scope", self._scope).split()):
            raise TokenError("less was granted than requested")
        return super()._token_of(members)

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        return min(super()._lifetime_of(members), 3600)

    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Accept-Encoding": "identity"}


class Transparent(TokenManager):
    """Lets the HTTP library's exceptions through."""

    def _send_token_request(self) -> requests.Response:
        response = requests.post(
            self._token_url,
            data=self._token_parameters(),
            headers=self._token_headers(),
            auth=self._session.auth,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=False,
        )
        response.raise_for_status()
        return response


class HasADeadline(TokenManager):
    """Bounds the whole exchange by its clock, not each wait in it."""

    def _send_token_request(self) -> requests.Response:
        until = time.monotonic() + self._timeout
        response = super()._send_token_request()
        if time.monotonic() >= until:
            raise TokenError("the auth-broker took too long")
        return response


class InTheBackground(TokenManager):
    """Refreshes in a thread of its own, and looks at the clock at each use as well."""

    _timer: threading.Timer | None = None

    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        if self._timer is not None:
            self._timer.cancel()
        wait = min(max(token.refresh_at - time.time(), 1.0), 3600.0)
        self._timer = threading.Timer(wait, self._renew)
        self._timer.daemon = True
        self._timer.start()
        return token

    def _renew(self) -> None:
        try:
            self.get_token()
        except TokenError:
            return

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().close()


class WarmsUpInAThread(TokenManager):
    """Asks for its first token in a thread of its own, and says nothing if there is none."""

    def warm_up(self) -> None:
        threading.Thread(target=self._warm_up, daemon=True).start()

    def _warm_up(self) -> None:
        with contextlib.suppress(TokenError):
            self.get_token()


class NotesTheCause(TokenManager):
    """Names the broker's error code in a note (PEP 678)."""

    def _fetch_token(self) -> AccessToken:
        try:
            return super()._fetch_token()
        except TokenError as error:
            told: Any = TokenError("no token")
            told.__notes__ = [f"the broker said {error.code}"]
            raise told from None


class MakesOneCallAtATime(ApiClient):
    """Its calls wait for each other, with the token that each of them had when it began to wait."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn = threading.Lock()

    def _send(self, *args: Any, **kwargs: Any) -> requests.Response:
        with self._turn:
            return super()._send(*args, **kwargs)


@passes_all_but()
def one_call_at_a_time(config: Any) -> Any:
    return make(MakesOneCallAtATime, config)


@passes_all_but()
def model(config: Any) -> Any:
    return make_client(config)


@passes_all_but(clauses.refresh.AHEAD, clauses.refresh.OUTAGE_WHILE_VALID)
def without_leeway_but_with_retry(config: Any) -> Any:
    return make(HasNoLeeway, config)


# It has no token that a new one could end.
@passes_all_but(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.SINGLE_LIVE_TOKEN,
    clauses.refresh.OUTAGE_WHILE_VALID,
)
def without_cache(config: Any) -> Any:
    return make(NeverReuses, config)


@passes_all_but()
def proportional_leeway(config: Any) -> Any:
    return make(Proportional, config)


@passes_all_but()
def jittered_leeway(config: Any) -> Any:
    return make(Jittered, config)


@passes_all_but()
def generous_leeway(config: Any) -> Any:
    return make(Generous, config)


@passes_all_but()
def lower_case_basic(config: Any) -> Any:
    return make(LowerCaseBasic, config)


@passes_all_but()
def with_charset(config: Any) -> Any:
    return make(WithCharset, config)


@passes_all_but()
def writes_queries_in_another_form(config: Any) -> Any:
    config = dataclasses.replace(config, token_url=_in_another_form(config.token_url))
    return make(WritesQueriesInAnotherForm, config)


@passes_all_but(clauses.request.SCOPE)
def leaves_out_the_scope(config: Any) -> Any:
    return make(LeavesOutTheScope, config)


@passes_all_but()
def cautious(config: Any) -> Any:
    return make(Cautious, config)


@passes_all_but(clauses.errors.CAUSE, clauses.refresh.OUTAGE_WHILE_VALID)
def lets_exceptions_through(config: Any) -> Any:
    return make(Transparent, config)


@passes_all_but()
def has_a_deadline(config: Any) -> Any:
    return make(HasADeadline, config)


@passes_all_but()
def eager(config: Any) -> Any:
    client = make_client(config)
    client.get_token()
    return client


@passes_all_but()
def eager_and_forgiving(config: Any) -> Any:
    client = make_client(config)
    with contextlib.suppress(TokenError):
        client.get_token()
    return client


@passes_all_but()
def warms_up_in_a_thread(config: Any) -> Any:
    client = make(WarmsUpInAThread, config)
    client.tokens.warm_up()
    return client


@passes_all_but()
def notes_the_cause(config: Any) -> Any:
    return make(NotesTheCause, config)


@passes_all_but()
def in_the_background(config: Any) -> Any:
    return make(InTheBackground, config)


class _CannotBeClosed:
    """Refreshes in the background for as long as the program runs."""

    def __init__(self, config: Any) -> None:
        client = make(InTheBackground, config)
        self.get_token, self.request = client.get_token, client.request


@passes_all_but()
def in_the_background_to_the_end(config: Any) -> Any:
    return _CannotBeClosed(config)


class BreaksTheCircuit(TokenManager):
    """Asks no broker for half a minute that was down three times in a row."""

    _failures = 0
    _rests_until = 0.0

    def _send_token_request(self) -> requests.Response:
        if time.monotonic() < self._rests_until:
            raise TokenError("the circuit is open")
        self._failures += 1
        if self._failures >= 3:
            self._rests_until = time.monotonic() + 30
        response = super()._send_token_request()
        if response.status_code < 500:
            self._failures, self._rests_until = 0, 0.0
        return response


@passes_all_but(clauses.refresh.RECOVERS_AT_ONCE)
def with_a_circuit_breaker(config: Any) -> Any:
    return make(BreaksTheCircuit, config)


@passes_all_but(clauses.refresh.CLOCK_CHANGES, clauses.refresh.LATENCY)
def with_a_clock_of_its_own(config: Any) -> Any:
    return make(OwnClock, config)


def by(clock: Any) -> Any:
    """A factory of clients that keep time by that function."""

    class Clocked(OwnClock):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, clock=clock, **kwargs)

    return lambda config: make(Clocked, config)


@passes_all_but()
def by_the_monotonic_clock(config: Any) -> Any:
    return by(lambda: time.monotonic())(config)  # noqa: PLW0108 - bound late, as in a client


@passes_all_but()
def by_aware_datetimes(config: Any) -> Any:
    utc = datetime.timezone.utc
    return by(lambda: datetime.datetime.now(utc).timestamp())(config)


@passes_all_but()
def by_naive_datetimes_in_utc(config: Any) -> Any:
    epoch, second = datetime.datetime(1970, 1, 1), datetime.timedelta(seconds=1)  # noqa: DTZ001
    return by(lambda: (datetime.datetime.utcnow() - epoch) / second)(config)  # noqa: DTZ003


class ByTheLoop(AsyncTokenManager):
    """Keeps time by the event loop's clock, and refreshes in a task of its own as well."""

    replaced_at = 0.0

    async def get_token(self) -> str:
        loop = asyncio.get_running_loop()
        async with self._connections.lock:
            if self._token is None or loop.time() >= self.replaced_at:
                await self._refresh(loop)
            return self._token.value

    async def _refresh(self, loop: asyncio.AbstractEventLoop) -> None:
        asked_at = loop.time()
        try:
            self._token = await self._fetch()
        except async_client.TokenError:
            if self._token is None or loop.time() >= self.replaced_at + 1:
                raise
        else:
            life = self._token.expires_at - time.time()
            self.replaced_at = asked_at + life - 1


@passes_all_but(clauses.refresh.CLOCK_CHANGES, clauses.refresh.LATENCY)
def by_the_clock_of_its_loop(config: Any) -> Any:
    return make_async(ByTheLoop, config)


@passes_all_but()
def with_a_file_of_its_own(config: Any) -> Any:
    return make(FileKeeper, config)


class RefreshesAfterAFork(TokenManager):
    """Has a thread for its requests, and starts another one in a forked child."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._worker = ThreadPoolExecutor(1)

    def _send_token_request(self) -> requests.Response:
        return self._worker.submit(super()._send_token_request).result()

    def close(self) -> None:
        self._worker.shutdown(wait=False)
        super().close()


@passes_all_but()
def with_a_thread_for_its_requests(config: Any) -> Any:
    return make(RefreshesAfterAFork, config)


class SharesAShieldedTask(AsyncTokenManager):
    """All callers wait for one task, which outlives those that are cancelled."""

    _task: asyncio.Task[async_client.AccessToken] | None = None

    async def get_token(self) -> str:
        if self._token is not None and time.time() < self._token.refresh_at:
            return self._token.value
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = asyncio.ensure_future(self._refreshed())
        self._token = await asyncio.shield(self._task)
        return self._token.value


@passes_all_but()
def with_a_shielded_task(config: Any) -> Any:
    return make(SharesAShieldedTask, config)


@passes_all_but(*clauses.signing.CLAUSES, clauses.refresh.SINGLE_LIVE_TOKEN)
def a_mere_function(config: Any) -> Any:
    return make_client(config).get_token


class _Signed(requests.Session):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self._model = make_client(config)

    def request(self, method: str, url: str, **kwargs: Any) -> Any:  # type: ignore[override]
        return self._model.request(method, url, **kwargs)


@passes_all_but()
def a_session(config: Any) -> Any:
    return _Signed(config)


class _HttpxAuth(httpx.Auth):
    def __init__(self, config: Any) -> None:
        self._tokens = make_client(config).tokens

    def auth_flow(self, request: httpx.Request) -> Any:
        token = self._tokens.get_token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            self._tokens.discard(token)
            request.headers["Authorization"] = f"Bearer {self._tokens.get_token()}"
            yield request


@passes_all_but(clauses.signing.OTHER_HOSTS)
def an_httpx_client(config: Any) -> Any:
    verify = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
    return httpx.Client(auth=_HttpxAuth(config), verify=verify)


@passes_all_but()
def insists_on_https(config: Any) -> Any:
    """A client that accepts no token URL but https (RFC 6749, 3.2). No setting changes that."""
    if not config.token_url.startswith("https://"):
        raise ValueError("the token URL must begin with https://")
    return make_client(config)
