"""The OpenFGA SDK's OAuth client for client credentials (credentials go in the body)."""

from __future__ import annotations

from typing import Any

import requests
from openfga_sdk import Configuration
from openfga_sdk.credentials import CredentialConfiguration, Credentials
from openfga_sdk.sync.oauth2 import OAuth2Client
from openfga_sdk.sync.rest import RESTClientObject

_AUDIENCE = "https://api.fga.example/"


class Client:
    """The library fetches and keeps the token and makes the header; the call is made here."""

    def __init__(self, config: Any) -> None:
        self._timeout = config.timeout
        self._session = requests.Session()
        credentials = Credentials(
            method="client_credentials",
            configuration=CredentialConfiguration(
                api_issuer=config.token_url,
                api_audience=_AUDIENCE,
                client_id=config.client_id,
                client_secret=config.client_secret,
                scopes=config.scope or None,
            ),
        )
        settings = Configuration(
            api_url=config.api_base_url,
            credentials=credentials,
            timeout_millisec=int(config.timeout * 1000),
        )
        self._rest = RESTClientObject(settings)
        self._oauth = OAuth2Client(credentials, settings)
        # As its auth: else requests replaces the header by the credentials of ~/.netrc.
        self._session.auth = self._sign

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._header())
        return request

    def _header(self) -> dict[str, str]:
        return dict(self._oauth.get_authentication_header(self._rest))

    def get_token(self) -> str:
        """The token that the library's next call would carry."""
        return self._header()["Authorization"].partition(" ")[2]

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """A call that carries the library's header."""
        kwargs.setdefault("timeout", self._timeout)
        return self._session.request(method, url, **kwargs)


def make_client(config: Any) -> Client:
    """Return the client that `mockbroker check` judges."""
    return Client(config)
