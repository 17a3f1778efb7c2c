"""delta-sharing's provider for client credentials, which signs a plain requests session."""

from __future__ import annotations

from typing import Any

import requests
from delta_sharing import _internal_auth
from delta_sharing._internal_auth import OAuthClientCredentialsAuthProvider

# Later releases have one class for each client authentication method.
_OAuthClient = getattr(_internal_auth, "ClientSecretOAuthClient", _internal_auth.OAuthClient)


class Client:
    """The library fetches, keeps and puts the header on the session before each call."""

    def __init__(self, config: Any) -> None:
        self._timeout = config.timeout
        self._session = requests.Session()
        self._provider = OAuthClientCredentialsAuthProvider(
            _OAuthClient(
                token_endpoint=config.token_url,
                client_id=config.client_id,
                client_secret=config.client_secret,
                scope=config.scope or None,
            )
        )

    def get_token(self) -> str:
        """Return the token that the library put into the session's header."""
        self._provider.add_auth_header(self._session)
        return str(self._session.headers["Authorization"]).partition(" ")[2]

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request that the library signs."""
        self._provider.add_auth_header(self._session)
        kwargs.setdefault("timeout", self._timeout)
        return self._session.request(method, url, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client to check."""
    return Client(config)
