"""The provider of the MCP SDK that signs assertions, and waits for the API to ask for a token.

Check it with `--config examples/third_party/signed.toml --profile signed-for-issuer`: the SDK has
the issuer's URL as audience.
"""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx2
from mcp.client.auth.extensions.client_credentials import (
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import OAuthMetadata


@functools.cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Trusted authorities, read once: the system's authorities take longer to load than a token."""
    return ssl.create_default_context(cafile=ca_file)


class _Memory:
    """Storage of the SDK's tokens and client data, for as long as the program runs."""

    def __init__(self) -> None:
        self._tokens: Any = None
        self._client: Any = None

    async def get_tokens(self) -> Any:
        return self._tokens

    async def set_tokens(self, tokens: Any) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> Any:
        return self._client

    async def set_client_info(self, client_info: Any) -> None:
        self._client = client_info


class _Provider(PrivateKeyJWTOAuthProvider):
    """The provider with the token URL and issuer that it would find in the server's metadata."""

    token_url = ""
    known_issuer = ""

    def _get_token_endpoint(self) -> str:
        return self.token_url

    async def _exchange_token_client_credentials(self) -> Any:
        self.context.oauth_metadata = OAuthMetadata(
            issuer=self.known_issuer,
            authorization_endpoint=self.token_url,
            token_endpoint=self.token_url,
        )
        return await super()._exchange_token_client_credentials()


class Client:
    """Calls by httpx2, signed by the provider. The SDK offers no token without a call."""

    def __init__(self, config: Any) -> None:
        signing = SignedJWTParameters(
            issuer=config.client_id,
            subject=config.client_id,
            signing_key=config.private_key,
            signing_algorithm=config.algorithm,
        )
        provider = _Provider(
            config.api_base_url,
            _Memory(),
            config.client_id,
            signing.create_assertion_provider(),
            scope=config.scope or None,
        )
        provider.token_url, provider.known_issuer = config.token_url, config.audience
        self._http = httpx2.AsyncClient(
            auth=provider, timeout=config.timeout, verify=_trust(config.ca_file)
        )

    async def request(self, method: str, url: str, **kwargs: Any) -> httpx2.Response:
        """Make a call, signed once the API asks for a token."""
        if "data" in kwargs:
            kwargs["content"] = kwargs.pop("data")
        return await self._http.request(method, url, **kwargs)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def make_client(config: Any) -> Client:
    """Return the client that `mockbroker check` judges."""
    return Client(config)
