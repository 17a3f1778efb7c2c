"""spotipy's client credentials with the cache file that it keeps by itself."""

from __future__ import annotations

from typing import Any

import requests
from spotipy.oauth2 import SpotifyClientCredentials


class Client:
    """The library fetches and keeps the token; a call to any URL is signed with it here."""

    def __init__(self, config: Any) -> None:
        self._timeout = config.timeout
        self._session = requests.Session()
        manager = type(
            "Manager", (SpotifyClientCredentials,), {"OAUTH_TOKEN_URL": config.token_url}
        )
        self._manager = manager(
            client_id=config.client_id,
            client_secret=config.client_secret,
            requests_timeout=config.timeout,
        )

    def get_token(self) -> str:
        """Return the token that the library's next call would carry."""
        return str(self._manager.get_access_token(as_dict=False))

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request with the token of the library."""
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self.get_token()}"}
        kwargs.setdefault("timeout", self._timeout)
        return self._session.request(method, url, headers=headers, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client to check."""
    return Client(config)
