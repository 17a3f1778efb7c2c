"""requests_oauth2client's handler for client credentials on a plain requests session.

``testing=True`` lets the library talk to a broker on plain http.
"""

from __future__ import annotations

from typing import Any

import requests
from requests_oauth2client import ClientSecretBasic, OAuth2Client, OAuth2ClientCredentialsAuth


def make_client(config: Any) -> requests.Session:
    """Return the client that `mockbroker check` judges."""
    client = OAuth2Client(
        token_endpoint=config.token_url,
        auth=ClientSecretBasic(config.client_id, config.client_secret),
        timeout=config.timeout,
        testing=True,
    )
    scope = {"scope": config.scope} if config.scope else {}
    session = requests.Session()
    session.auth = OAuth2ClientCredentialsAuth(client, **scope)
    return session
