"""Judges of the chapter ``basic``: how the client authenticates at the token endpoint."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.authorization import (
    Authorization,
    carries,
    decode_leniently,
    decoded_basic,
    is_standard_base64,
    read_authorization,
)
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.forms import body_parameters, json_object, query_parameters
from mockbroker.model.masking import scheme_name
from mockbroker.model.messages import Request

__all__ = ["judge_basic", "recognise"]


def judge_basic(request: Request, expectation: TokenExpectation) -> Iterator[Breach]:
    """What is wrong with how a token request is authenticated."""
    if expectation.profile.client_authentication == "post":
        yield from _post(request, expectation)
        return
    values = request.headers.get_all("Authorization")
    if len(values) != 1:
        yield Breach("basic.scheme", _how_many(request, len(values)), _ONE_BASIC)
    if not values:
        return
    authorization = read_authorization(values[0])
    yield from _scheme(authorization)
    yield from _base64(authorization)
    yield from _credentials(authorization, request, expectation)
    yield from _only(request)


_ONE_BASIC = "one Authorization header with scheme Basic"


def _how_many(request: Request, count: int) -> str:
    if count:
        return f"there are {count} Authorization headers"
    if _secret_places(request):
        places = " and ".join(_secret_places(request))
        return f"there is no Authorization header; the credentials are in the {places}"
    return "there is no Authorization header"


def _scheme(authorization: Authorization) -> Iterator[Breach]:
    if not authorization.scheme:
        yield Breach("basic.scheme", "the Authorization header names no scheme", _ONE_BASIC)
    elif not authorization.is_scheme("Basic"):
        what = f"the Authorization header has scheme {scheme_name(authorization.scheme)!r}"
        yield Breach("basic.scheme", what, _ONE_BASIC)


def _base64(authorization: Authorization) -> Iterator[Breach]:
    encoded = authorization.rest.lstrip(" ")  # RFC 9110, 11.4: one space or more
    if is_standard_base64(encoded):
        return
    expected = "standard Base64: padded, in one line, with + and /"
    yield Breach("basic.base64", _what_base64(encoded), expected)


def _what_base64(encoded: str) -> str:
    if decode_leniently(encoded) is None:
        return "what follows the scheme is no Base64"
    if any(character.isspace() for character in encoded):
        return "the Base64 text holds white space"
    if "-" in encoded or "_" in encoded:
        return "the Base64 text uses the URL-safe alphabet"
    return "the Base64 text is not padded as it should be"


def _credentials(
    authorization: Authorization, request: Request, expectation: TokenExpectation
) -> Iterator[Breach]:
    decoded = decode_leniently(authorization.rest)
    if decoded is None:
        return  # no Base64: said already
    if any(carries(decoded, pair, expectation.profile) for pair in expectation.credentials):
        return
    meant = recognise(request, expectation) or _only_one(expectation)
    if meant is not None and _is_in_another_charset(decoded, meant):
        what = "the credentials are not in UTF-8"
        yield Breach("basic.utf8", what, "client_id:client_secret encoded as UTF-8")
        return
    how = {"raw": "as they are", "form": "each form-urlencoded"}
    yield Breach(
        "basic.credentials",
        "the Basic credentials decode to something else than those of a registered client",
        f"client_id:client_secret, {how[expectation.profile.basic_encoding]}",
    )


def _is_in_another_charset(decoded: bytes, meant: Credentials) -> bool:
    """Whether these are the credentials, but for how characters beyond ASCII are encoded."""
    text = f"{meant.client_id}:{meant.client_secret}"
    if text.isascii() or same_text(decoded, text.encode("utf-8", "surrogatepass")):
        return False
    spellings = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKD"))]
    return any(
        same_text(decoded, spelling.encode(charset, errors))
        for spelling in spellings
        for charset in ("latin-1", "cp1252", "ascii", "utf-16", "utf-16-le", "utf-8", "utf-8-sig")
        for errors in ("replace", "ignore", "backslashreplace", "xmlcharrefreplace")
    )


def _only_one(expectation: TokenExpectation) -> Credentials | None:
    return expectation.credentials[0] if len(expectation.credentials) == 1 else None


def _only(request: Request) -> Iterator[Breach]:
    # RFC 6749, 2.3: "The client MUST NOT use more than one authentication method in each request."
    places = _secret_places(request)
    if places:
        what = f"the credentials are in the {' and '.join(places)} as well"
        yield Breach("basic.only", what, "credentials in the Authorization header only")


def _secret_places(request: Request) -> list[str]:
    in_json = json_object(request) or {}
    in_body = {name for name, _ in body_parameters(request)} | set(in_json)
    in_query = {name for name, _ in query_parameters(request)}
    found = {"body": in_body, "URL": in_query}
    return [place for place, names in found.items() if "client_secret" in names]


def _post(request: Request, expectation: TokenExpectation) -> Iterator[Breach]:
    # RFC 6749, 2.3.1: client_id and client_secret in the request body
    if request.headers.get("Authorization") is not None:
        what = "there is an Authorization header"
        yield Breach("basic.scheme", what, "client_id and client_secret in the body, and no header")
    parameters = dict(body_parameters(request))
    sent = (parameters.get("client_id", ""), parameters.get("client_secret"))
    if not any(_is_sent(sent, pair) for pair in expectation.credentials):
        what = "client_id and client_secret in the body are not those of a registered client"
        yield Breach("basic.credentials", what, "the credentials as they were registered")
    if "URL" in _secret_places(request):
        what = "the credentials are in the URL as well"
        yield Breach("basic.only", what, "credentials in the body only")


def _is_sent(sent: tuple[str, str | None], pair: Credentials) -> bool:
    client_id, secret = sent
    if secret is None or client_id != pair.client_id:
        return False
    return same_text(secret, pair.client_secret)


def recognise(request: Request, expectation: TokenExpectation) -> Credentials | None:
    """The registered client that most likely sent the request, however badly it said so."""
    decoded = decoded_basic(request)
    if decoded is not None:
        for pair in expectation.credentials:
            if carries(decoded, pair, expectation.profile):
                return pair
    named = _named_client_ids(request, decoded)
    for pair in expectation.credentials:
        if pair.client_id in named:
            return pair
    return None


def _named_client_ids(request: Request, decoded: bytes | None) -> set[str]:
    places = (*body_parameters(request), *query_parameters(request))
    named = {value for name, value in places if name == "client_id"}
    if decoded is not None:
        for encoding in ("utf-8", "latin-1"):
            named.add(decoded.decode(encoding, "replace").partition(":")[0].strip())
    return named
