"""Authlib's requests session with a signed assertion (private_key_jwt).

Check it with `--config examples/third_party/signed.toml --profile signed`.
"""

from __future__ import annotations

from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT


class Client:
    """The library does it all; only the first token must be asked for."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._session = OAuth2Session(
            config.client_id,
            config.private_key,
            scope=config.scope or None,
            token_endpoint=config.token_url,
            token_endpoint_auth_method="private_key_jwt",  # noqa: S106 - a method, not a password
            grant_type="client_credentials",
        )
        # Its first argument is the audience.
        method = PrivateKeyJWT(
            config.audience, headers={"kid": config.key_id}, alg=config.algorithm
        )
        self._session.register_client_auth_method(method)

    def _ensure_token(self) -> None:
        if not self._session.token:
            self._session.fetch_token(timeout=self._config.timeout)
        else:
            self._session.ensure_active_token(self._session.token)

    def get_token(self) -> str:
        """The token of the next signed call."""
        self._ensure_token()
        # The library refuses unknown token types when it signs, and not when it fetches.
        _, headers, _ = self._session.token_auth.prepare(self._config.api_base_url, {}, b"")
        return str(headers["Authorization"].removeprefix("Bearer "))

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """A call signed by the session."""
        if not self._session.token:
            self._session.fetch_token(timeout=self._config.timeout)
        kwargs.setdefault("timeout", self._config.timeout)
        return self._session.request(method, url, **kwargs)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def make_client(config: Any) -> Client:
    """Return the client that `mockbroker check` judges."""
    return Client(config)
