"""httpx-auth's handler for client credentials, with the cache that all its handlers share."""

from __future__ import annotations

import functools
import math
import ssl
from typing import Any

import httpx
from httpx_auth import OAuth2ClientCredentials


@functools.cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Trusted authorities, read once: the system's authorities take longer to load than a token."""
    return ssl.create_default_context(cafile=ca_file)


def make_client(config: Any) -> httpx.Client:
    """Return the client that `mockbroker check` judges."""
    verify = _trust(config.ca_file)
    scope = {"scope": config.scope.split()} if config.scope else {}
    auth = OAuth2ClientCredentials(
        config.token_url,
        client_id=config.client_id,
        client_secret=config.client_secret,
        client=httpx.Client(verify=verify),
        timeout=math.ceil(config.timeout),  # the library rounds down, and cannot wait for 0 s
        **scope,
    )
    return httpx.Client(auth=auth, timeout=config.timeout, verify=verify)
