"""A client with three defects: the kit has to find, simplify and explain the breaches of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.model_client import ApiClient, TokenManager

__all__ = ["make_client"]


class Tokens(TokenManager):
    """A cache that uses a token for 10 s too long, and sends a parameter that is not asked for."""

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime + 10

    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "client_name": "bench"}


class Calls(ApiClient):
    """A client that takes each refusal for one of the token."""

    def _is_token_refused(self, response: Any) -> bool:
        return bool(response.status_code >= 400)  # noqa: PLR2004 - the statuses of errors


def make_client(config: Any) -> ApiClient:
    """Return the client that `mockbroker check` judges."""
    verify = config.ca_file or True
    tokens = Tokens(
        config.token_url,
        config.client_id,
        config.client_secret,
        scope=config.scope,
        parameters=config.parameters,
        timeout=config.timeout,
        verify=verify,
    )
    return Calls(tokens, config.api_base_url, timeout=config.timeout, verify=verify)
