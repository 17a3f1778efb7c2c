"""Clients with one defect of the chapter ``cache``: threads, tasks and event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from examples import async_client
from examples.async_client import AsyncTokenManager, Connections
from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks


class Unlocked(TokenManager):
    """Lets threads in while one of them fetches."""

    busy = False

    def meanwhile(self) -> str:
        raise NotImplementedError

    def get_token(self) -> str:
        if self.busy:
            return self.meanwhile()
        self.busy = True
        try:
            return super().get_token()
        finally:
            self.busy = False


@breaks(clauses.cache.THREAD_SAFE, blocks=[clauses.cache.SINGLE_FLIGHT])
class RefusesWhileItFetches(Unlocked):
    def meanwhile(self) -> str:
        raise TokenError("a token is being fetched")


@breaks(clauses.cache.THREAD_SAFE, blocks=[clauses.cache.SINGLE_FLIGHT])
class GivesOutTheOldTokenMeanwhile(Unlocked):
    def meanwhile(self) -> str:
        return self._token.value if self._token else ""


@breaks(clauses.cache.THREAD_SAFE)
class WakesOthersOnlyWithAToken(TokenManager):
    """Has those that wait for a token request wait on when it fails."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: list[threading.Event] | None = None

    def get_token(self) -> str:
        with self._lock:
            if self._token is not None and time.time() < self._token.refresh_at:
                return self._token.value
            woken = None if self._waiting is None else threading.Event()
            self._waiting = [] if woken is None else [*(self._waiting or []), woken]
        if woken is not None:
            woken.wait()
            return self.get_token()
        try:
            self._token = self._refreshed()
        except TokenError:
            self._waiting = None
            raise
        with self._lock:
            others, self._waiting = self._waiting or [], None
        for other in others:
            other.set()
        return self._token.value


class NoLock:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@breaks(clauses.cache.SINGLE_FLIGHT)
class HasNoLock(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = NoLock()  # type: ignore[assignment]


@breaks(clauses.cache.SINGLE_FLIGHT)
class LocksTooLate(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = NoLock()  # type: ignore[assignment]
        self._sending = threading.Lock()

    def _fetch_token(self) -> AccessToken:
        with self._sending:
            return super()._fetch_token()


@breaks(clauses.cache.THREAD_SAFE)
class DropsItsTokenBeforeItHasTheNext(TokenManager):
    """Says "None" to those that come while it replaces a refused token."""

    was_refused = is_busy = False

    def discard(self, value: str) -> None:
        self.was_refused = True
        if self._token is not None and self._token.value == value:
            self._token = None

    def get_token(self) -> str:
        if self.was_refused and self.is_busy:
            return str(self._token and self._token.value)
        self.is_busy = True
        try:
            return super().get_token()
        finally:
            self.is_busy = False


@breaks(clauses.cache.SINGLE_FLIGHT, clauses.refresh.SINGLE_LIVE_TOKEN)
class DiscardsWhateverItHas(TokenManager):
    def discard(self, value: str) -> None:
        with self._lock:
            self._token = None


class SharesATask(AsyncTokenManager):
    """All callers wait for one task."""

    task: asyncio.Task[Any] | None = None

    async def get_token(self) -> str:
        if self._token is None or time.time() >= self._token.refresh_at:
            if self.task is None or self.is_over(self.task):
                self.task = asyncio.ensure_future(self._refreshed())
            self._token = await self.task
        return self._token.value

    def is_over(self, task: asyncio.Task[Any]) -> bool:
        return task.done() or task.get_loop() is not asyncio.get_running_loop()


@breaks(clauses.cache.CANCELLATION)
class CancelsAllWithOne(SharesATask):
    pass


@breaks(clauses.cache.CANCELLATION)
class StaysCancelled(SharesATask):
    def is_over(self, task: asyncio.Task[Any]) -> bool:
        return super().is_over(task) and not task.cancelled()


@breaks(clauses.cache.CANCELLATION)
class StaysBusyWhenCancelled(AsyncTokenManager):
    """Forgets to say that it fetches no more, if it is cancelled while it does."""

    done: asyncio.Event | None = None

    async def get_token(self) -> str:
        if self.done is not None:
            try:
                await asyncio.wait_for(self.done.wait(), 1)
            except asyncio.TimeoutError:
                raise async_client.TokenError("another task takes too long") from None
        if self._token is None or time.time() >= self._token.refresh_at:
            self.done = asyncio.Event()
            try:
                self._token = await self._refreshed()
            except async_client.TokenError:
                self.stop()
                raise
            self.stop()
        return self._token.value

    def stop(self) -> None:
        if self.done is not None:
            self.done.set()
        self.done = None


@breaks(clauses.cache.EVENT_LOOPS)
class KeepsTheLockOfItsFirstLoop(AsyncTokenManager):
    lock: asyncio.Lock | None = None

    async def get_token(self) -> str:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            return await super().get_token()


@breaks(clauses.cache.EVENT_LOOPS)
class KeepsTheConnectionsOfItsFirstLoop(AsyncTokenManager):
    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        # Not weak, and for any loop.
        connections._of_loops = _OfAnyLoop()  # type: ignore[assignment]
        super().__init__(connections, *args, **kwargs)


class _OfAnyLoop(dict[Any, Any]):
    def __contains__(self, loop: object) -> bool:
        return bool(self)

    def __getitem__(self, loop: Any) -> Any:
        http, _ = next(iter(self.values()))
        locks = self.__dict__.setdefault("locks", {})
        return http, locks.setdefault(loop, asyncio.Lock())
