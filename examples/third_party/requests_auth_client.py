"""requests-auth's handler for client credentials, with the cache that all its handlers share."""

from __future__ import annotations

import math
from typing import Any

import requests
from requests_auth import OAuth2ClientCredentials


def make_client(config: Any) -> requests.Session:
    """Return the client that `mockbroker check` judges."""
    scope = {"scope": config.scope.split()} if config.scope else {}
    session = requests.Session()
    session.auth = OAuth2ClientCredentials(
        config.token_url,
        client_id=config.client_id,
        client_secret=config.client_secret,
        timeout=math.ceil(config.timeout),  # the library rounds down, and cannot wait for 0 s
        **scope,
    )
    return session
