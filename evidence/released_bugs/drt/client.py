"""drt's handler for client credentials, which it reads from the environment.

The variables have names made from the credentials, as in a program with two accounts.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import requests
from drt.config.models import OAuth2ClientCredentialsAuth
from drt.destinations.auth import AuthHandler


class Client:
    """The library fetches, keeps and makes the header; the call is made here."""

    def __init__(self, config: Any) -> None:
        self._timeout = config.timeout
        self._session = requests.Session()
        credentials = f"{config.client_id}:{config.client_secret}"
        account = hashlib.sha256(credentials.encode()).hexdigest()
        self._variables = {
            f"ACME_{account}_ID": config.client_id,
            f"ACME_{account}_SECRET": config.client_secret,
        }
        auth = OAuth2ClientCredentialsAuth(
            type="oauth2_client_credentials",
            token_url=config.token_url,
            client_id_env=f"ACME_{account}_ID",
            client_secret_env=f"ACME_{account}_SECRET",
            scope=config.scope or None,
        )
        self._handler = AuthHandler(auth)

    def _header(self) -> dict[str, str]:
        os.environ.update(self._variables)
        return self._handler.get_headers()

    def get_token(self) -> str:
        """Return the token that the library's next call would carry."""
        return self._header()["Authorization"].partition(" ")[2]

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request with the header of the library."""
        headers = {**kwargs.pop("headers", {}), **self._header()}
        kwargs.setdefault("timeout", self._timeout)
        return self._session.request(method, url, headers=headers, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client to check."""
    return Client(config)
