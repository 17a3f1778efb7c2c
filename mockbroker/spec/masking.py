"""Exchanges as text that may be printed: no secret and no token in clear."""

from __future__ import annotations

import base64
import re
import shlex
import urllib.parse
from collections.abc import Collection, Iterable

from mockbroker.spec.authorization import read_authorization
from mockbroker.spec.credentials import Credentials
from mockbroker.spec.exchange import Endpoint, Exchange
from mockbroker.spec.messages import Request

__all__ = ["curl", "describe", "mask", "mask_parameters", "secret_forms"]

_SHORTEST = 4
_NAME = r"(?:client(?:_|%5F)secret|(?:access|refresh)(?:_|%5F)token)"
_SECRET_PARAMETER = re.compile(
    rf"({_NAME}(?:=|%3D))[^&\s]+"
    rf"|({_NAME}(?:\"\s*:\s*\"|%22(?:\s|%20|\+)*(?::|%3A)(?:\s|%20|\+)*%22))"
    r"(?:(?!%22)[^\"\\]|\\.)*",
    re.IGNORECASE,
)
_LONGEST_BODY = 200


def mask(text: str, credentials: Iterable[Credentials], token_values: Collection[str] = ()) -> str:
    """The text with every secret, in any of its usual encodings, and every token replaced."""
    names = {value: "<token>" for value in token_values if len(value) >= _SHORTEST}
    names |= {form: "<secret>" for pair in credentials for form in secret_forms(pair)}
    there = [name for name in names if name in text]
    if not there:
        return text
    longest_first = sorted(there, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: names[found[0]], text)


def mask_parameters(text: str) -> str:
    """The text with the value of each parameter that holds a secret, form or JSON, replaced."""
    return _SECRET_PARAMETER.sub(r"\1\2<masked>", text)


def secret_forms(pair: Credentials) -> list[str]:
    """The secret in each of its usual encodings, alone and with the client_id, longest first.

    Forms too short to be told from other text are left out.
    """
    secret = pair.client_secret
    octets = secret.encode("utf-8", "surrogatepass")
    quoted = (urllib.parse.quote(octets, safe=""), urllib.parse.quote_plus(octets))
    plain = (*quoted, secret, repr(secret)[1:-1])
    quoted_id = urllib.parse.quote_plus(pair.client_id.encode("utf-8", "surrogatepass"))
    texts = [f"{pair.client_id}:{secret}", f"{quoted_id}:{quoted[1]}", secret] if secret else []
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    encoded = [
        encode(text.encode("utf-8", "surrogatepass")).decode()
        for text in texts
        for encode in encoders
    ]
    forms = {form for form in (*plain, *encoded) if len(form) >= _SHORTEST}
    return sorted(forms, key=lambda form: (-len(form), form))


def describe(exchange: Exchange) -> str:
    """One line for an exchange: what was asked, with what, what came of it."""
    parts = [
        f"#{exchange.number}",
        f"{exchange.request.method} {_target(exchange.request)}",
        _carried(exchange),
        f"→ {_answer(exchange)}",
    ]
    if exchange.fault:
        parts.append(f"[fault: {exchange.fault}]")
    breaches = [f"✗ {breach.clause_id}: {breach.what}" for breach in exchange.breaches]
    return " ".join(part for part in parts if part) + "".join(f"\n    {b}" for b in breaches)


def _target(request: Request) -> str:
    return mask_parameters(request.target)


def _carried(exchange: Exchange) -> str:
    value = exchange.request.headers.get("Authorization")
    if value is None:
        return "(no Authorization)"
    scheme = read_authorization(value).scheme or "(no scheme)"
    if exchange.endpoint is Endpoint.TOKEN:
        return f"Authorization: {scheme} <masked>"
    state = exchange.token_state.value if exchange.token_state else "unknown"
    label = exchange.token.label if exchange.token else "a token"
    return f"Authorization: {scheme} <{label}, {state}>"


def _answer(exchange: Exchange) -> str:
    if exchange.response is None:
        return "no complete answer"
    if exchange.endpoint is Endpoint.TOKEN and exchange.token is not None:
        token = exchange.token
        return f"{exchange.response.status} {token.label}, expires_in={token.expires_in:g}"
    return str(exchange.response.status)


def curl(request: Request) -> str:
    """A curl command that asks a token endpoint the same, with variables for what is yours."""
    query = mask_parameters(request.query)
    url = '"$TOKEN_URL"' + (shlex.quote(f"?{query}") if query else "")
    words = ["curl", "-i", "-X", shlex.quote(request.method), url]
    for name, value in request.headers:
        if name.lower() in {"content-type", "accept"}:
            words += ["-H", shlex.quote(f"{name}: {value}")]
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        words += _credentials_for_curl(authorization)
    if request.body:
        body = request.body[:_LONGEST_BODY].decode("utf-8", "replace")
        words += ["--data-raw", shlex.quote(mask_parameters(body))]
    return " ".join(words)


def _credentials_for_curl(authorization: str) -> list[str]:
    scheme = read_authorization(authorization).scheme
    if scheme.lower() == "basic":
        return ["-u", '"$CLIENT_ID:$CLIENT_SECRET"']
    return ["-H", shlex.quote(f"Authorization: {scheme} ") + '"$TOKEN"']
