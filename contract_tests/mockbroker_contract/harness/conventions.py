"""Measured conventions: the client authentication methods that a client uses."""

from __future__ import annotations

import base64
import binascii
import urllib.parse
from typing import Any

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.model.messages import Request
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.run import ContractRun

__all__ = ["authentication_conventions", "basic_encoding_of", "client_authentication_of"]

# A space, a plus and a percent sign, which each of the three encodings writes differently.
_PROBE_CREDENTIALS = Credentials("client id", "p w+/=%~")


def authentication_conventions(run: ContractRun) -> dict[str, Any]:
    """Return how and where the client sends credentials; empty without a token request.

    A client session of its own is used, in which a breach of `basic.credentials` is not noted.
    """
    # A wrong encoding is measured here; the clause's own cases judge it.
    elsewhere = [clauses.basic.CREDENTIALS]
    with ClientSession(
        run, clauses.response.DOCUMENTED, credentials=_PROBE_CREDENTIALS, elsewhere=elsewhere
    ) as session:
        session.use()
        requests = [exchange.request for exchange in session.trace.token_requests]
    if not requests:
        return {}
    facts = {
        "basic_encoding": basic_encoding_of(requests[0], _PROBE_CREDENTIALS),
        "client_authentication": client_authentication_of(requests[0]),
    }
    return {name: fact for name, fact in facts.items() if fact}


def client_authentication_of(request: Request) -> str:
    """Return the method by which a client authenticates; empty without credentials.

    It is ``basic``, ``post``, ``both``, ``private_key_jwt`` or ``tls_client_auth``.

    The place decides, not the profile: the fact is shown for clients that use the wrong one as
    well.
    """
    if b"client_assertion=" in request.body:
        return "private_key_jwt"
    in_header = request.headers.get("Authorization") is not None
    in_body = b"client_secret" in request.body
    return {(True, False): "basic", (False, True): "post", (True, True): "both"}.get(
        (in_header, in_body), "tls_client_auth" if request.certificate else ""
    )


def basic_encoding_of(request: Request, credentials: Credentials) -> str:
    """Return ``raw``, ``form`` or ``percent``, by the decoded Basic credentials; or empty.

    Standard Base64 and UTF-8 are required; other forms are judged by clauses of their own.
    """
    encoded = (request.headers.get("Authorization") or "").partition(" ")[2]
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    if decoded == f"{credentials.client_id}:{credentials.client_secret}":
        return "raw"
    pair = (credentials.client_id, credentials.client_secret)
    # Form encoding (RFC 6749, 2.3.1 and appendix B) and percent-encoding differ for a space only:
    # "+" or "%20".
    if tuple(map(urllib.parse.unquote_plus, decoded.split(":"))) != pair:
        return ""
    return "form" if "+" in decoded else "percent"
