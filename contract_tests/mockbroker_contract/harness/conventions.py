"""Measured: by which conventions a client authenticates."""

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

_TELLING = Credentials("client id", "p w+/=%~")


def authentication_conventions(run: ContractRun) -> dict[str, Any]:
    """How the client encodes credentials, and where it puts them; empty if it never asked."""
    elsewhere = [clauses.basic.CREDENTIALS]
    with ClientSession(
        run, clauses.response.DOCUMENTED, credentials=_TELLING, elsewhere=elsewhere
    ) as session:
        session.use()
        requests = [exchange.request for exchange in session.trace.token_requests]
    if not requests:
        return {}
    facts = {
        "basic_encoding": basic_encoding_of(requests[0], _TELLING),
        "client_authentication": client_authentication_of(requests[0]),
    }
    return {name: fact for name, fact in facts.items() if fact}


def client_authentication_of(request: Request) -> str:
    """``basic``, ``post`` or ``both``, by where the credentials are; empty if nowhere."""
    in_header = request.headers.get("Authorization") is not None
    in_body = b"client_secret" in request.body
    return {(True, False): "basic", (False, True): "post", (True, True): "both"}.get(
        (in_header, in_body), ""
    )


def basic_encoding_of(request: Request, credentials: Credentials) -> str:
    """``raw``, ``form`` or ``percent``, by what the Basic credentials decode to; or empty."""
    encoded = (request.headers.get("Authorization") or "").partition(" ")[2]
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    if decoded == f"{credentials.client_id}:{credentials.client_secret}":
        return "raw"
    pair = (credentials.client_id, credentials.client_secret)
    if tuple(map(urllib.parse.unquote_plus, decoded.split(":"))) != pair:
        return ""
    return "form" if "+" in decoded else "percent"
