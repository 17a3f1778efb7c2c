"""The fleet API as the apps use it. The settings are read once, when this module is imported."""

from __future__ import annotations

import os

from examples.model_client import ApiClient, TokenError, TokenManager

__all__ = ["TokenError", "title_of"]

API_URL = os.environ["FLEET_API_URL"]
_API = ApiClient(
    TokenManager(
        os.environ["FLEET_TOKEN_URL"],
        os.environ["FLEET_CLIENT_ID"],
        os.environ["FLEET_CLIENT_SECRET"],
    ),
    API_URL,
)


def title_of(vehicle_id: str) -> str:
    """Return the vehicle's title. Raises TokenError without a valid token."""
    response = _API.request("GET", f"{API_URL}/vehicle/{vehicle_id}")
    response.raise_for_status()
    return str(response.json()["title"])
