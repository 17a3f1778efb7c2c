"""requests_oauth2client's handler for client credentials, with a signed assertion.

Check it with `--config examples/third_party/signed.toml --profile signed`. ``testing=True`` lets
the library talk to a broker on plain http.
"""

from __future__ import annotations

from typing import Any

import requests
from jwskate import Jwk
from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth, PrivateKeyJwt


def make_client(config: Any) -> requests.Session:
    """Return the client that `mockbroker check` judges."""
    key = Jwk.from_pem(config.private_key.encode(), kid=config.key_id, alg=config.algorithm)
    client = OAuth2Client(
        token_endpoint=config.token_url,
        auth=PrivateKeyJwt(config.client_id, key, aud=config.audience),
        timeout=config.timeout,
        testing=True,
    )
    scope = {"scope": config.scope} if config.scope else {}
    session = requests.Session()
    session.auth = OAuth2ClientCredentialsAuth(client, **scope)
    return session
