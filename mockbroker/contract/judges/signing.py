"""Judges of the chapter ``signing``: calls of the protected API."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from mockbroker.contract.expectations import ApiExpectation
from mockbroker.model.authorization import decode_leniently, is_b64token, read_authorization
from mockbroker.model.breach import Breach
from mockbroker.model.forms import (
    LOOKED_AT_BYTES,
    body_parameters,
    query_parameters,
    unquoted,
)
from mockbroker.model.masking import scheme_name
from mockbroker.model.messages import Request

__all__ = ["judge_signing"]

_ONE_BEARER = "one Authorization header: Bearer, one space, the token as provided"
_NO_TOKENS = frozenset({"None", "null", "undefined", "nil", "true", "false"})

# Shorter ones are found by chance in what has nothing to do with them.
_SHORTEST_TELLING_TOKEN = 12
_SHORTEST_TELLING_SECRET = 6


def judge_signing(request: Request, expectation: ApiExpectation) -> Iterator[Breach]:
    """What is wrong with a call of the API, whatever became of its token since."""
    yield from _bearer(request, expectation)
    yield from _header_only(request, expectation)
    yield from _no_credentials(request, expectation)


def _bearer(request: Request, expectation: ApiExpectation) -> Iterator[Breach]:
    values = request.headers.get_all("Authorization")
    if len(values) != 1:
        count = f"{len(values)} Authorization headers" if values else "no Authorization header"
        yield Breach("signing.bearer", f"the call has {count}", _ONE_BEARER)
        return
    what = _what_is_wrong(values[0], expectation)
    if what:
        yield Breach("signing.bearer", what, _ONE_BEARER)


def _what_is_wrong(value: str, expectation: ApiExpectation) -> str:
    authorization = read_authorization(value)
    if not authorization.scheme:
        return "the Authorization header names no scheme"
    if authorization.scheme != "Bearer":
        return f"the scheme is {scheme_name(authorization.scheme)!r}"
    token = authorization.rest
    if token in expectation.token_values:
        return ""
    if token in _NO_TOKENS:
        return f"the token is the word {token!r}"
    if not is_b64token(token):
        return "what follows the scheme is no b64token"
    if (decode_leniently(token) or b"").decode("latin-1") in expectation.token_values:
        return "the token is encoded in Base64"
    damage = expectation.damage_of(token)
    return damage.value if damage else ""


def _header_only(request: Request, expectation: ApiExpectation) -> Iterator[Breach]:
    named = {
        "URL": any(name == "access_token" for name, _ in query_parameters(request)),
        "body": any(name == "access_token" for name, _ in body_parameters(request)),
    }
    texts = {"URL": request.target, "body": request.body[:LOOKED_AT_BYTES].decode("latin-1")}
    for place, text in texts.items():
        if named[place] or _holds_a_token(text, expectation):
            what = f"the token is in the {place}"
            yield Breach("signing.header-only", what, "the token in the Authorization header only")


def _holds_a_token(text: str, expectation: ApiExpectation) -> bool:
    if not text:
        return False
    texts = {text, unquoted(text)}
    return any(expectation.tokens_in(each, _SHORTEST_TELLING_TOKEN) for each in texts)


def _no_credentials(request: Request, expectation: ApiExpectation) -> Iterator[Breach]:
    fields = " ".join(value for _, value in request.headers)
    texts = (fields, request.target, unquoted(request.target))
    everything = "\n".join((*texts, request.body.decode("latin-1")))
    for pair in expectation.credentials:
        basic = f"{pair.client_id}:{pair.client_secret}".encode("utf-8", "surrogatepass")
        alone = pair.client_secret.encode("utf-8", "surrogatepass")
        shown = base64.b64encode(basic).decode() in everything
        forms = (pair.client_secret, base64.b64encode(alone).decode())
        telling = len(pair.client_secret) >= _SHORTEST_TELLING_SECRET
        if shown or (telling and any(form in everything for form in forms)):
            what = "the call carries the client's credentials"
            yield Breach("signing.no-credentials", what, "the access token and no credentials")
            return
