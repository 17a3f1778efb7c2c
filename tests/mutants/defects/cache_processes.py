"""Clients with one defect of the chapter ``cache``: forks, restarts, files and processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from concurrent import futures
from pathlib import Path
from typing import Any, ClassVar

import requests

from examples.model_client import AccessToken, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import FileKeeper, breaks


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
