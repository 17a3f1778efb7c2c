"""dynamics-client for Microsoft Dynamics, with its default token cache.

That cache works only in the thread that used it first (see docs/findings). Therefore this client
uses the library in one thread, as an application with a single thread would.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from dynamics.client import DynamicsClient

_Result = TypeVar("_Result")
_SCOPE = "https://acme.crm.example/.default"  # the library insists on one


class _OneThread:
    """The thread of the library; a forked child has another one, because threads are not copied."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1)

    def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call the function in the thread and return what it returns."""
        return self._executor.submit(function, *arguments).result()


_ONE_THREAD = _OneThread()


@functools.cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Load the trusted certificates once: loading those of the system takes long."""
    return ssl.create_default_context(cafile=ca_file)


class Client:
    """The library fetches and keeps the token; a call to any URL is signed with it here."""

    def __init__(self, config: Any) -> None:
        self._session = httpx.Client(timeout=config.timeout, verify=_trust(config.ca_file))
        self._dynamics = DynamicsClient(
            api_url=config.api_base_url,
            token_url=config.token_url,
            client_id=config.client_id,
            client_secret=config.client_secret,
            scope=config.scope.split() or [_SCOPE],
        )

    def get_token(self) -> str:
        """Return the token that the library's next call would carry."""
        return _ONE_THREAD.run(self._token)

    def _token(self) -> str:
        self._dynamics._ensure_token()
        return str(self._dynamics._oauth_client.token["access_token"])

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request with the token of the library."""
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self.get_token()}"}
        return self._session.request(method, url, headers=headers, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client to check."""
    return _ONE_THREAD.run(Client, config)
