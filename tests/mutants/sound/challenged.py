"""Sound clients that wait for the API to ask for a token.

The first call goes out unsigned, the 401 leads to a token, and the call is repeated.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx
import requests

from examples.model_client import TokenError, make_client
from mockbroker.contract import clauses
from tests.mutants.defects.cache import NeverReuses
from tests.mutants.defects.refresh import HasNoLeeway
from tests.mutants.sound.registry import passes_all_but
from tests.mutants.workshop import make


class _Challenged(requests.auth.AuthBase):
    """Sends a call without a token, and repeats it with one when it is answered 401.

    With ``keeps`` it signs later calls at once, until its token has expired by its own clock.
    Otherwise each call goes out unsigned first, and each 401 leads to a new token.
    """

    def __init__(self, config: Any, *, keeps: bool) -> None:
        self._api = config.api_base_url + "/"
        self.tokens = make(HasNoLeeway if keeps else NeverReuses, config).tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        kept = self.tokens._token
        token = kept.value if kept is not None and time.time() < kept.expires_at else ""
        if token and str(request.url).startswith(self._api):
            request.headers["Authorization"] = f"Bearer {token}"
        request.register_hook("response", lambda r, **kw: self.answer(r, token, kw))
        return request

    def answer(self, response: requests.Response, token: str, kwargs: Any) -> Any:
        # Redirects keep the hook: the token must not go wherever they lead.
        is_ours = str(response.request.url).startswith(self._api)
        if response.status_code != 401 or not is_ours:
            return response
        response.close()
        self.tokens.discard(token)
        again = response.request.copy()
        again.headers["Authorization"] = f"Bearer {self.tokens.get_token()}"
        if not isinstance(again.body, (str, bytes, type(None))):
            raise TokenError("the call was refused, and its body cannot be sent again")
        return response.connection.send(again, **kwargs)


class _ChallengedSession(requests.Session):
    def __init__(self, config: Any, *, keeps: bool) -> None:
        super().__init__()
        self.auth = _Challenged(config, keeps=keeps)
        self._options = {"timeout": config.timeout, "verify": config.ca_file or True}

    def get_token(self) -> str:
        return self.auth.tokens.get_token()  # type: ignore[union-attr]

    def request(self, method: str, url: str, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().request(method, url, **{**self._options, **kwargs})


@passes_all_but(clauses.refresh.AHEAD, clauses.refresh.OUTAGE_WHILE_VALID)
def challenged_and_keeps_its_token(config: Any) -> Any:
    return _ChallengedSession(config, keeps=True)


# It has no token that a new one could end.
@passes_all_but(
    clauses.cache.REUSE,
    clauses.cache.SINGLE_FLIGHT,
    clauses.refresh.SINGLE_LIVE_TOKEN,
    clauses.refresh.OUTAGE_WHILE_VALID,
)
def challenged_and_keeps_no_token(config: Any) -> Any:
    return _ChallengedSession(config, keeps=False)


class _HttpxChallenged(httpx.Auth):
    """Sends every call without a token first, and repeats it with the one that it keeps."""

    requires_request_body = True

    def __init__(self, config: Any) -> None:
        self._tokens = make_client(config).tokens
        self._api = config.api_base_url + "/"

    def auth_flow(self, request: httpx.Request) -> Any:
        response = yield request
        if response.status_code != 401 or not str(request.url).startswith(self._api):
            return
        token = self._tokens.get_token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            # For the next call: this one has been sent twice already.
            self._tokens.discard(token)


# A call that is refused when it has been repeated once blocks two clauses, which revoke tokens.
@passes_all_but(clauses.signing.REVOKED, clauses.refresh.SINGLE_LIVE_TOKEN, clauses.cleanup.BOUNDED)
def challenged_at_every_call(config: Any) -> Any:
    verify = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
    return httpx.Client(auth=_HttpxChallenged(config), verify=verify)
