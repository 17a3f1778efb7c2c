"""Clients with one defect of the chapter ``cleanup``."""

from __future__ import annotations

import contextlib
import threading
import uuid
from pathlib import Path
from typing import Any

import requests

from examples.model_client import (
    AccessToken,
    ApiClient,
    TokenError,
    TokenManager,
    _can_be_sent_again,
)
from mockbroker.contract import clauses
from tests.mutants.workshop import Sender, breaks


@breaks(clauses.cleanup.ENDS)
class RenewsByATimer(TokenManager):
    timer: threading.Timer | None = None

    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(3600, self._renew)
        self.timer.start()
        return token

    def _renew(self) -> None:
        with contextlib.suppress(TokenError):
            self.get_token()


@breaks(clauses.cleanup.ENDS)
class LeavesAThreadThatWaits(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        threading.Thread(target=threading.Event().wait, args=(3600,)).start()


@breaks(clauses.cleanup.BOUNDED)
class LeavesAThreadForEachToken(TokenManager):
    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        threading.Thread(target=threading.Event().wait, args=(3600,), daemon=True).start()
        return token


@breaks(clauses.cleanup.BOUNDED)
class LeavesAThreadForEachFailure(TokenManager):
    def _send_token_request(self) -> requests.Response:
        ended = threading.Event()
        threading.Thread(target=ended.wait, daemon=True).start()
        response = super()._send_token_request()
        if response.ok:
            ended.set()
        return response


@breaks(clauses.cleanup.BOUNDED)
class GoesOnWhenItIsClosed(TokenManager):
    """Has a thread that renews the token, which holds its client, and which nothing ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        threading.Thread(target=self.renew, daemon=True).start()

    def renew(self) -> None:
        while True:
            threading.Event().wait(3600)
            with contextlib.suppress(TokenError):
                self.get_token()


@breaks(clauses.cleanup.BOUNDED)
class KeepsASessionForEachToken(Sender):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sessions = [self._session]

    def _send_token_request(self) -> requests.Response:
        auth = self._session.auth
        self._session = requests.Session()
        self._session.auth = auth
        self.sessions.append(self._session)
        return super()._send_token_request()


@breaks(clauses.cleanup.BOUNDED)
class WritesAFileForEachToken(TokenManager):
    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        path = Path(f"{uuid.uuid4()}.token")
        with contextlib.suppress(OSError):
            path.touch(mode=0o600)
            path.write_text(token.value, encoding="utf-8")
        return token


@breaks(clauses.cleanup.BOUNDED)
class KeepsTheAnswersOfRefusedCalls(ApiClient):
    """Gives each answer to its caller to be read, and forgets to close that of a repeated call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refused: list[requests.Response] = []

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        self._check_origin(url)
        kwargs = {**kwargs, "stream": True}
        response = self._send(method, url, token := self.get_token(), **kwargs)
        if response.status_code == 401 and _can_be_sent_again(kwargs.get("data")):
            self.refused.append(response)
            self.tokens.discard(token)
            response = self._send(method, url, self.get_token(), **kwargs)
        return response
