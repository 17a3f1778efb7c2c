"""How to hand a client of one's own to `mockbroker check examples/recipes/own_client.py`."""

from __future__ import annotations

from examples.model_client import ApiClient, TokenManager
from mockbroker import ClientConfig


def make_client(config: ClientConfig) -> ApiClient:
    """Build the client as the application does, from what a check gives it."""
    tokens = TokenManager(config.token_url, config.client_id, config.client_secret)
    return ApiClient(tokens, config.api_base_url)  # has get_token(), request(), or both
