"""Client that authenticates by a signed assertion (private_key_jwt), to be copied as well.

It is the model client with another authentication: RFC 7523 instead of HTTP Basic.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import jwt

from examples.model_client import ApiClient, TokenManager

__all__ = ["AssertionTokenManager", "make_client"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 120


class AssertionTokenManager(TokenManager):
    """Token manager that signs an assertion for each token request.

    ``private_key`` is PEM, and ``key_id`` the ``kid`` under which its public half is registered.
    ``audience`` is what the provider wants as ``aud``: its token URL, if empty.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        private_key: str,
        *,
        key_id: str = "",
        algorithm: str = "RS256",
        audience: str = "",
        scope: str = "",
        parameters: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        verify: bool | str = True,
    ) -> None:
        super().__init__(
            token_url,
            client_id,
            "",  # the key replaces the secret
            scope=scope,
            parameters=parameters,
            timeout=timeout,
            verify=verify,
        )
        self._private_key = private_key
        self._key_id = key_id
        self._algorithm = algorithm
        self._audience = audience or token_url

    def _token_parameters(self) -> dict[str, str]:
        # Made for each request, also for one that repeats another: a broker accepts each jti once.
        return {
            **super()._token_parameters(),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(),
        }

    def _token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    def _assertion(self) -> str:
        """Return a new assertion."""
        return jwt.encode(
            self._claims(),
            self._private_key,
            algorithm=self._algorithm,
            headers={"kid": self._key_id} if self._key_id else None,
        )

    def _claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience,
            "iat": now,
            # Short, because it is used at once; long enough for a clock that is off.
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }


def make_client(config: Any) -> ApiClient:
    """Return the client that `mockbroker check` judges."""
    verify = config.ca_file or True
    tokens = AssertionTokenManager(
        config.token_url,
        config.client_id,
        config.private_key,
        key_id=config.key_id,
        algorithm=config.algorithm,
        audience=config.audience,
        scope=config.scope,
        parameters=config.parameters,
        timeout=config.timeout,
        verify=verify,
    )
    return ApiClient(tokens, config.api_base_url, timeout=config.timeout, verify=verify)
