"""requests-oauthlib as its documentation shows it for the backend application flow.

The library refuses plain http by default; a local broker has no TLS.
"""

from __future__ import annotations

import os
import time
from typing import Any

from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")


class Client:
    """The library fetches and signs; when to fetch again is left to its user."""

    def __init__(self, config: Any) -> None:
        self._config = config
        scope = config.scope.split() or None
        self._client = BackendApplicationClient(client_id=config.client_id, scope=scope)
        self._session = OAuth2Session(client=self._client)

    def _fetch_if_needed(self) -> None:
        if self._session.token.get("expires_at", 0) <= time.time():
            self._session.fetch_token(
                self._config.token_url,
                auth=HTTPBasicAuth(self._config.client_id, self._config.client_secret),
                timeout=self._config.timeout,
            )

    def get_token(self) -> str:
        """The token of the next signed call, fetched if there is none or if it has expired."""
        self._fetch_if_needed()
        # The library refuses invalid tokens when it signs, and not when it fetches.
        _, headers, _ = self._client.add_token(self._config.api_base_url)
        return str(headers["Authorization"].removeprefix("Bearer "))

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """A call signed by the session."""
        self._fetch_if_needed()
        kwargs.setdefault("timeout", self._config.timeout)
        return self._session.request(method, url, **kwargs)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def make_client(config: Any) -> Client:
    """Return the client that `mockbroker check` judges."""
    return Client(config)
