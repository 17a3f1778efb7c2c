"""confluent-kafka's OAuth client for the schema registry; its user signs the calls."""

from __future__ import annotations

import inspect
from typing import Any

import requests
from confluent_kafka.schema_registry.schema_registry_client import _OAuthClient

_SETTINGS = {"logical_cluster": "lsrc-1", "identity_pool": "pool-1", "max_retries": 0}
_WAITS = {"retries_wait_ms": 10, "retries_max_wait_ms": 20}


class Client:
    """The library fetches and keeps the token; calls are signed here."""

    def __init__(self, config: Any) -> None:
        names = inspect.signature(_OAuthClient).parameters
        settings = {k: v for k, v in {**_SETTINGS, **_WAITS}.items() if k in names}
        self._timeout = config.timeout
        self._session = requests.Session()
        self._oauth = _OAuthClient(
            client_id=config.client_id,
            client_secret=config.client_secret,
            scope=config.scope,
            token_endpoint=config.token_url,
            **settings,
        )

    def get_token(self) -> str:
        """Return the token that the library would sign with."""
        return str(self._oauth.get_bearer_fields()["bearer.auth.token"])

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request with the token of the library."""
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self.get_token()}"}
        kwargs.setdefault("timeout", self._timeout)
        return self._session.request(method, url, headers=headers, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client to check."""
    return Client(config)
