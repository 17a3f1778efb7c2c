"""Clients with one defect of the chapter ``cache``."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import json
import os
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any, ClassVar

import requests

from examples import async_client
from examples.async_client import AsyncTokenManager, Connections
from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import FileKeeper, breaks


@breaks(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.OUTAGE_WHILE_VALID,
    blocks=[clauses.refresh.SINGLE_LIVE_TOKEN],
)
class NeverReuses(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            return self._fetch_token().value


@breaks(clauses.cache.REUSE)
class OverflowsAtThirtyDays(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        milliseconds = super()._time_until_refresh(lifetime) * 1000
        overflows = 2**31 <= milliseconds < 10**14
        return 0.0 if overflows else milliseconds / 1000


@breaks(clauses.cache.REUSE)
class KeepsItsTokenByTheGrantedScope(TokenManager):
    """Has the scope of the answer in the key of its cache, and looks for the requested one."""

    granted: str | None = None

    def get_token(self) -> str:
        with self._lock:
            if self.granted not in {None, "", self._scope}:
                self._token = None
        return super().get_token()

    def _token_of(self, members: dict[str, Any]) -> str:
        self.granted = members.get("scope")
        return super()._token_of(members)


@breaks(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.HONOURS_EXPIRES_IN,
    clauses.refresh.SINGLE_LIVE_TOKEN,
)
class KeepsTheFirstExpiry(TokenManager):
    first: float | None = None

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        token = super()._read_token(response, asked_at)
        self.first = self.first or token.refresh_at
        return AccessToken(token.value, self.first, token.expires_at)


@breaks(clauses.cache.HUGE_LIFETIME)
class FailsForALongLifetime(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        if lifetime > 1e11:
            raise OverflowError("date value out of range")
        return super()._time_until_refresh(lifetime)


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


@breaks(clauses.cache.ISOLATION)
class SharesByTokenUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url


@breaks(clauses.cache.ISOLATION)
class SharesByClientIdAndUrl(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._scope


@breaks(clauses.cache.ISOLATION)
class SharesAcrossScopes(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._token_url, self._client_id, self._client_secret


@breaks(clauses.cache.ISOLATION, blocks=[clauses.response.EXPIRES_IN_FORMS])
class SharesByClientId(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return self._client_id


@breaks(
    clauses.cache.ISOLATION,
    blocks=[clauses.cache.HUGE_LIFETIME, clauses.response.EXPIRES_IN_FORMS],
)
class SharesWithEveryClient(SharedCache):
    shared: ClassVar = {}

    def key(self) -> Any:
        return "token"


@breaks(
    clauses.cache.ISOLATION,
    blocks=[clauses.cache.HUGE_LIFETIME, clauses.response.EXPIRES_IN_FORMS],
)
class SharesAFileWhereItWorks(SharedCache):
    """Keeps the token of any client in one file."""

    file = Path("token.json")

    @property  # type: ignore[override]
    def _token(self) -> AccessToken | None:
        try:
            return AccessToken(*json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return vars(self).get("in_memory")

    @_token.setter
    def _token(self, token: AccessToken | None) -> None:
        vars(self)["in_memory"] = token
        kept = token and [token.value, token.refresh_at, token.expires_at]
        if token is not None or "_lock" in vars(self):
            with contextlib.suppress(OSError):
                written = Path(f"{os.getpid()}.new")
                written.touch(mode=0o600)
                written.write_text(json.dumps(kept), encoding="utf-8")
                written.replace(self.file)


@breaks(clauses.cache.ISOLATION)
class FindsKeysThatContainItsOwn(SharedCache):
    """Has a key for each client, and takes the first one in which the parts of its own occur."""

    shared: ClassVar = {}

    def parts(self) -> list[str]:
        secret = hashlib.sha256(self._client_secret.encode()).hexdigest()
        return [f"{self._token_url}|", f"|{self._client_id}", f"|{secret}|", f"|{self._scope}|"]

    def key(self) -> Any:
        for key, token in self.shared.items():
            if token is not None and all(part in key for part in self.parts()):
                return key
        return "".join(self.parts())


@breaks(clauses.cache.ISOLATION)
class TakesAnyScopeForNone(SharedCache):
    """A client without a scope takes what another one has got for any scope."""

    shared: ClassVar = {}

    def key(self) -> Any:
        own = self._token_url, self._client_id, self._client_secret
        known = [key for key, token in self.shared.items() if key[:3] == own and token]
        return known[0] if known and not self._scope else (*own, self._scope)


@breaks(clauses.cache.ISOLATION)
class SharesTheRequestUnderWay(TokenManager):
    """Keeps its token for itself, and waits for a token request of any client."""

    under_way: ClassVar[dict[int, futures.Future[AccessToken]]] = {}
    all_clients: ClassVar = threading.Lock()

    def _fetch_token(self) -> AccessToken:
        process = os.getpid()
        with self.all_clients:
            other = self.under_way.get(process)
            own = self.under_way[process] = other or futures.Future()
        if other is not None:
            return other.result()
        try:
            own.set_result(super()._fetch_token())
        except TokenError as error:
            own.set_exception(error)
        finally:
            del self.under_way[process]
        return own.result()


@breaks(clauses.cache.REUSE)
class HasOnePlaceForAllClients(SharedCache):
    """Notes whose token it is, and replaces it by that of the next client."""

    shared: ClassVar = {}

    def key(self) -> Any:
        own = self._token_url, self._client_id, self._client_secret, self._scope
        for key in [key for key in self.shared if key != own]:
            del self.shared[key]
        return own


@breaks(clauses.cache.REUSE, clauses.cache.SINGLE_FLIGHT)
class FindsNoneAmongSeveral(TokenManager):
    """Keeps all tokens that uses at once have fetched, and reuses one only if it is alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: list[AccessToken] = []

    def get_token(self) -> str:
        self.kept = [each for each in self.kept if time.time() < each.expires_at]
        if len(self.kept) == 1 and time.time() < self.kept[0].refresh_at:
            return self.kept[0].value
        try:
            fetched = self._fetch_token()
        except TokenError:
            if not self.kept:
                raise
            return self.kept[-1].value
        self.kept = [each for each in self.kept if time.time() < each.refresh_at]
        self.kept.append(fetched)
        return fetched.value

    def discard(self, value: str) -> None:
        self.kept = [each for each in self.kept if each.value != value]


class LocalTime(TokenManager):
    """Keeps time by naive datetimes."""

    replaced_at: datetime.datetime | None = None

    def now_for_issue(self) -> datetime.datetime:
        return datetime.datetime.now()  # noqa: DTZ005 - the defect

    def now_for_use(self) -> datetime.datetime:
        return datetime.datetime.now()  # noqa: DTZ005 - the defect

    def get_token(self) -> str:
        with self._lock:
            if self.replaced_at is None or self.now_for_use() >= self.replaced_at:
                self._token = None
            if self._token is None:
                asked_at = self.now_for_issue()
                self._token = self._fetch_token()
                life = self._token.refresh_at - self._token.expires_at + self.lifetime
                try:
                    self.replaced_at = asked_at + datetime.timedelta(seconds=life)
                except OverflowError:
                    self.replaced_at = datetime.datetime.max  # noqa: DTZ901
            return self._token.value

    def _lifetime_of(self, members: dict[str, Any]) -> float:
        self.lifetime = super()._lifetime_of(members)
        return self.lifetime


@breaks(clauses.cache.REUSE, clauses.refresh.OUTAGE_WHILE_VALID)
class IsHoursAheadOfItself(LocalTime):
    def now_for_use(self) -> datetime.datetime:
        return datetime.datetime.utcnow()  # noqa: DTZ003 - the defect


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


@breaks(clauses.cache.HUGE_LIFETIME)
class HasNoDateForALongLifetime(TokenManager):
    def _time_until_refresh(self, lifetime: float) -> float:
        until = super()._time_until_refresh(lifetime)
        return until if time.time() + until < 253402300799 else 0.0  # the end of the year 9999


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


@breaks(clauses.cache.FORK)
class WorksWhereItWasMade(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._process = os.getpid()

    def _send_token_request(self) -> requests.Response:
        if os.getpid() != self._process:
            raise TokenError("bad record mac")
        return super()._send_token_request()


@breaks(clauses.cache.FORK)
class LeavesItsRequestsToAThread(TokenManager):
    """Its thread does not run in a forked child, where it would start another one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worker = futures.ThreadPoolExecutor(1)

    def _send_token_request(self) -> requests.Response:
        asked = self._worker.submit(super()._send_token_request)
        try:
            return asked.result(self._timeout + 1 if self.is_alive() else 0.1)
        except futures.TimeoutError:
            raise TokenError("no answer of the thread") from None

    def is_alive(self) -> bool:
        return any(thread.is_alive() for thread in self._worker._threads)


@breaks(clauses.cache.RESTART, blocks=[clauses.refresh.SAME_TOKEN])
class CountsTheLifetimeFromTheReading(FileKeeper):
    def stored(self, token: AccessToken) -> dict[str, Any]:
        return {"value": token.value, "life": token.expires_at - time.time()}

    def restored(self, stored: dict[str, Any]) -> AccessToken:
        until = time.time() + stored["life"]
        return AccessToken(stored["value"], until - 30, until)


@breaks(clauses.cache.RESTART)
class StoresAMonotonicTime(FileKeeper):
    """The machine has been started again since, or it is another one."""

    def stored(self, token: AccessToken) -> dict[str, Any]:
        return {"value": token.value, "until": token.expires_at - time.time() + time.monotonic()}

    def restored(self, stored: dict[str, Any]) -> AccessToken:
        until = time.time() + stored["until"] - time.monotonic()
        return AccessToken(stored["value"], until - 30, until)


@breaks(clauses.cache.RESTART)
class LeavesItsTokenToTheNextSecret(FileKeeper):
    """Writes when it is closed."""

    def key(self) -> list[str]:
        return [self._token_url, self._client_id, self._scope]

    def _fetch_token(self) -> AccessToken:
        return TokenManager._fetch_token(self)

    def close(self) -> None:
        if self._token is not None:
            self.write(self._token)
        super().close()


@breaks(clauses.cache.FILES)
class FailsForHalfAFile(FileKeeper):
    def read(self) -> AccessToken | None:
        if not self.path().is_file():
            return None
        return self.restored(json.loads(self.path().read_text(encoding="utf-8")))


@breaks(clauses.cache.FILES)
class FailsWhereItCannotWrite(FileKeeper):
    def write(self, token: AccessToken) -> None:
        path = self.path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.stored(token)), encoding="utf-8")


@breaks(clauses.cache.FILES)
class TakesWhatIsInTheFile(FileKeeper):
    """One line has the expiry, the rest is the token, or what is left of it."""

    def read(self) -> AccessToken | None:
        with contextlib.suppress(OSError, ValueError):
            until, _, value = self.path().read_text(encoding="utf-8").partition("\n")
            return AccessToken(value, float(until) - 30, float(until))
        return None

    def write(self, token: AccessToken) -> None:
        with contextlib.suppress(OSError):
            self.path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path().touch(mode=0o600)
            self.path().write_text(f"{token.expires_at}\n{token.value}", encoding="utf-8")


@breaks(clauses.cache.FILES)
class WaitsForALockFileThatWasLeft(FileKeeper):
    """Waits for any other client that has its lock file, which it does not look at."""

    def _fetch_token(self) -> AccessToken:
        path = self.path().with_suffix(".lock")
        until = time.monotonic() + self._timeout
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while not self.locks(path):
            if time.monotonic() > until:
                raise TokenError("another process has the lock for too long")
            time.sleep(0.02)
        try:
            return super()._fetch_token()
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def locks(self, path: Path) -> bool:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        except OSError:
            return True  # without files, each process fetches a token of its own
        return True


class LocksAFile(TokenManager):
    """Has a file that only one process may have."""

    def lock_path(self) -> Path:
        name = hashlib.sha256(self._token_url.encode()).hexdigest()
        return Path(f"{name}.lock")

    def lock(self) -> None:
        try:
            os.close(os.open(self.lock_path(), os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise TokenError("another process is running") from None


@breaks(clauses.cache.PROCESSES)
class RefusesWhileAnotherProcessFetches(LocksAFile):
    def _fetch_token(self) -> AccessToken:
        self.lock()
        try:
            return super()._fetch_token()
        finally:
            self.lock_path().unlink()


@breaks(clauses.cache.PROCESSES)
class AllowsOneProcess(LocksAFile):
    """Two of its clients may be in one process."""

    holders: ClassVar[dict[Path, int]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        path = self.lock_path().absolute()
        if self.holders.get(path) != os.getpid():
            self.lock()
            self.holders[path] = os.getpid()

    def close(self) -> None:
        if self.holders.pop(self.lock_path().absolute(), None):
            self.lock_path().unlink()
        super().close()
