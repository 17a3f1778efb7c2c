"""An application that signs its calls: the one that these recipes test."""

from __future__ import annotations

from examples.model_client import ApiClient, TokenManager

__all__ = ["VehicleSync"]


class VehicleSync:
    """Fetches what the API knows of a vehicle."""

    def __init__(self, token_url: str, api_url: str, client_id: str, client_secret: str) -> None:
        self._api_url = api_url
        self._api = ApiClient(TokenManager(token_url, client_id, client_secret), api_url)

    def title_of(self, vehicle_id: str) -> str:
        """Return the vehicle's title. Raises TokenError without a valid token."""
        response = self._api.request("GET", f"{self._api_url}/vehicle/{vehicle_id}")
        response.raise_for_status()
        return str(response.json()["vehicle"]["title"])
