"""The client-credentials provider of the MCP SDK, which waits for the API to ask for a token.

Check it with `--profile rfc6749`: it form-encodes the credentials (RFC 6749, 2.3.1).
"""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider


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


class _Provider(ClientCredentialsOAuthProvider):
    """The provider with the token URL that it would otherwise find in the server's metadata."""

    token_url = ""

    def _get_token_endpoint(self) -> str:
        return self.token_url


class Client:
    """Calls by httpx2, signed by the provider. The SDK offers no token without a call."""

    def __init__(self, config: Any) -> None:
        provider = _Provider(
            config.api_base_url,
            _Memory(),
            config.client_id,
            config.client_secret,
            scope=config.scope or None,
        )
        provider.token_url = config.token_url
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
