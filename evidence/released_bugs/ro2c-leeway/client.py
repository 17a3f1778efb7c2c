"""requests_oauth2client's handler for client credentials on a plain requests session."""

from __future__ import annotations

import inspect
from typing import Any

import requests
from requests_oauth2client import ClientSecretBasic, OAuth2Client, OAuth2ClientCredentialsAuth


def make_client(config: Any) -> requests.Session:
    """Return the client to check."""
    known = inspect.signature(OAuth2Client).parameters
    later = {"testing": True, "timeout": config.timeout}
    client = OAuth2Client(
        config.token_url,
        auth=ClientSecretBasic(config.client_id, config.client_secret),
        **{name: value for name, value in later.items() if name in known},
    )
    scope = {"scope": config.scope} if config.scope else {}
    session = requests.Session()
    session.auth = OAuth2ClientCredentialsAuth(client, **scope)
    return session
