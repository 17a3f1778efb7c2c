"""From what is wrong to the likely mistake: the vendor's troubleshooting list, made specific.

A hint speaks to the person who wrote the client. It never holds a secret or a token.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.model.authorization import (
    Authorization,
    basic_payload,
    carries,
    decode_leniently,
    is_standard_base64,
    read_authorization,
)
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.forms import (
    LOOKED_AT_BYTES,
    body_parameters,
    json_object,
    media_type,
    query_parameters,
    unquoted,
    unquoted_plus,
)
from mockbroker.model.masking import method_name, scheme_name
from mockbroker.model.messages import Request

__all__ = ["hint_for_api_call", "hint_for_token_request"]

_LITERAL = re.compile(rb"\{\s*['\"]?grant_type['\"]?\s*[:=]\s*['\"]?\w+['\"]?\s*\}")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class _TokenFacts:
    """A token request taken apart once, for every hint to look at."""

    request: Request
    expectation: TokenExpectation
    authorization: Authorization | None
    decoded: bytes | None

    @classmethod
    def of(cls, request: Request, expectation: TokenExpectation) -> _TokenFacts:
        value = request.headers.get("Authorization")
        authorization = None if value is None else read_authorization(value)
        decoded = None if authorization is None else decode_leniently(authorization.rest)
        return cls(request, expectation, authorization, decoded)

    @property
    def encoded(self) -> str:
        return "" if self.authorization is None else self.authorization.rest

    @property
    def is_right(self) -> bool:
        """Whether the header decodes to a registered client's credentials."""
        profile = self.expectation.profile
        return any(carries(self.decoded, c, profile) for c in self.expectation.credentials)

    def is_payload(self, octets: bytes | None) -> bool:
        """Whether these are what Basic encodes for a registered client."""
        profile = self.expectation.profile
        payloads = [basic_payload(pair, profile) for pair in self.expectation.credentials]
        return octets is not None and any(same_text(octets, payload) for payload in payloads)

    @property
    def pair(self) -> tuple[str, str]:
        """The id and the secret that the header decodes to."""
        text = (self.decoded or b"").decode("utf-8", "replace")
        client_id, _, client_secret = text.partition(":")
        return client_id, client_secret

    def client_named(self, client_id: str) -> Credentials | None:
        found = (c for c in self.expectation.credentials if c.client_id == client_id)
        return next(found, None)


def hint_for_token_request(
    request: Request, expectation: TokenExpectation, chapter: str = ""
) -> str:
    """The likely mistake behind a token request that is wrong; empty if none comes to mind.

    Of a ``chapter``, ``basic`` or ``request``, unless any mistake will do.
    """
    facts = _TokenFacts.of(request, expectation)
    known = {"basic": _BASIC_HINTS, "request": _REQUEST_HINTS}
    looks = known.get(chapter, (*_BASIC_HINTS, *_REQUEST_HINTS))
    return next((hint for look in looks if (hint := look(facts))), "")


def _no_header(facts: _TokenFacts) -> str:
    if facts.authorization is not None:
        return ""
    names = {name for name, _ in body_parameters(facts.request)}
    names |= set(json_object(facts.request) or {})
    if facts.expectation.profile.client_authentication == "post":
        return "" if "client_secret" in names else "client_id and client_secret go into the body"
    if "client_secret" in names:
        return (
            "the credentials are in the body (client_secret_post); this broker takes them as "
            "Basic in the Authorization header: look for a setting such as auth_method or "
            "client_secret_basic"
        )
    if "client_secret" in {name for name, _ in query_parameters(facts.request)}:
        return "the credentials are in the URL; send them as Basic in the Authorization header"
    return "no Authorization header was sent; send Basic with base64 of client_id:client_secret"


def _wrong_scheme(facts: _TokenFacts) -> str:
    authorization = facts.authorization
    if authorization is None or authorization.is_scheme("Basic"):
        return ""
    if not authorization.scheme:
        if facts.is_payload(decode_leniently(authorization.rest)):
            return "the scheme is missing: write `Basic ` before the Base64 text"
        return "the Authorization header names no scheme: it starts with `Basic ` here"
    if authorization.is_scheme("Bearer"):
        return "Bearer is for calls of the API with a token; the token itself is asked for by Basic"
    if authorization.is_scheme("ApiKey"):
        return "ApiKey is how API keys are sent; the token is asked for by Basic and credentials"
    return f"the scheme is {scheme_name(authorization.scheme)!r}; the token is asked for by Basic"


def _not_encoded(facts: _TokenFacts) -> str:
    if facts.authorization is None:
        return ""
    plain = facts.encoded.encode("latin-1", "replace")
    utf8 = facts.encoded.encode("utf-8", "replace")
    if facts.is_payload(plain) or facts.is_payload(utf8) or ":" in facts.encoded:
        return "the credentials are not encoded: Basic takes base64 of client_id:client_secret"
    return ""


def _wrapped(facts: _TokenFacts) -> str:
    if re.search(r"\s", facts.encoded) and facts.is_payload(facts.decoded):
        return (
            "the Base64 text is broken into lines: encoders for mail wrap at 76 characters; use "
            "one that does not (`base64 -w0`)"
        )
    return ""


def _url_safe(facts: _TokenFacts) -> str:
    is_standard = is_standard_base64(facts.encoded) or facts.decoded is None
    if is_standard or not re.search(r"[-_]", facts.encoded):
        return ""
    return "the Base64 text uses the URL-safe alphabet (- and _); Basic takes + and /"


def _unpadded(facts: _TokenFacts) -> str:
    if facts.is_right and not is_standard_base64(facts.encoded):
        return "the padding of the Base64 text was lost: its length is a multiple of 4, filled by ="
    return ""


def _no_colon(facts: _TokenFacts) -> str:
    if facts.decoded is None or b":" in facts.decoded:
        return ""
    return "the header decodes to text without a colon: encode client_id:client_secret"


def _line_feed(facts: _TokenFacts) -> str:
    decoded = facts.decoded or b""
    client_id, _ = facts.pair
    if client_id.endswith(("\n", "\r")) and b":" in decoded:
        return (
            "the Authorization header decodes to an id that ends in a line feed: was it built with "
            "`echo` instead of `printf`, or read from a file?"
        )
    if decoded.endswith((b"\n", b"\r")):
        return (
            "the Authorization header decodes to a secret that ends in a line feed: was it built "
            "with `echo` instead of `printf`, or read from a file?"
        )
    return ""


def _spaces(facts: _TokenFacts) -> str:
    client_id, secret = (part.strip() for part in facts.pair)
    known = facts.client_named(client_id)
    if known and same_text(known.client_secret, secret) and facts.pair != (client_id, secret):
        return "there is white space around the id or the secret: was it copied with it?"
    return ""


def _quotes(facts: _TokenFacts) -> str:
    client_id, secret = (part.strip("\"'") for part in facts.pair)
    known = facts.client_named(client_id)
    if known and same_text(known.client_secret, secret) and facts.pair != (client_id, secret):
        return "the id or the secret has quotes around it: were they taken over from a .env file?"
    return ""


def _encoded_twice(facts: _TokenFacts) -> str:
    if facts.decoded is None or facts.is_right:
        return ""
    try:
        twice = base64.b64decode(facts.decoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return (
        "the credentials are encoded twice: Base64 once is enough"
        if facts.is_payload(twice)
        else ""
    )


def _swapped(facts: _TokenFacts) -> str:
    client_id, secret = facts.pair
    known = facts.client_named(secret)
    if known and same_text(known.client_secret, client_id):
        return "id and secret are swapped: it is client_id:client_secret"
    return ""


def _percent_encoded(facts: _TokenFacts) -> str:
    if facts.is_right or facts.decoded is None or b"%" not in facts.decoded + b"%":
        return ""
    raw = facts.expectation.profile.basic_encoding == "raw"
    decoded_pair = ":".join(map(unquoted_plus, facts.pair))
    for pair in facts.expectation.credentials:
        plain = f"{pair.client_id}:{pair.client_secret}"
        if raw and same_text(decoded_pair, plain):
            return (
                "the credentials were percent-encoded before Base64 (as RFC 6749, 2.3.1, has it); "
                "this broker takes them as they are"
            )
        if not raw and same_text(":".join(facts.pair), plain):
            return (
                "the credentials went into Base64 as they are; this broker wants each of them "
                "form-urlencoded first (RFC 6749, 2.3.1)"
            )
    return ""


def _latin_1(facts: _TokenFacts) -> str:
    if facts.decoded is None or facts.is_right:
        return ""
    text = facts.decoded.decode("latin-1").encode("utf-8")
    if facts.is_payload(text):
        return "the credentials are encoded as Latin-1; encode them as UTF-8 before Base64"
    return ""


def _another_clients_secret(facts: _TokenFacts) -> str:
    client_id, secret = facts.pair
    known = facts.client_named(client_id)
    if known is None or same_text(known.client_secret, secret):
        return ""
    if any(same_text(pair.client_secret, secret) for pair in facts.expectation.credentials):
        return f"this is the secret of another client than {client_id[:60]!r}"
    if not secret:
        return "the secret is empty: is the variable that holds it set?"
    if same_text(secret, known.client_secret.strip()):
        return "the blanks around the secret are missing: was it stripped?"
    return f"the client_id {client_id[:60]!r} is known, but its secret is another one"


def _unknown_client(facts: _TokenFacts) -> str:
    if facts.decoded is None or facts.is_right:
        return ""
    return "no client with that client_id is registered: is it the one of another environment?"


def _literal_braces(facts: _TokenFacts) -> str:
    body = facts.request.body[:LOOKED_AT_BYTES].strip()
    is_literal = _LITERAL.fullmatch(body) and json_object(facts.request) is None
    return (
        (
            "the body is `{ grant_type: client_credentials }` to the letter, the way the "
            "documentation writes it down; send grant_type=client_credentials"
        )
        if is_literal
        else ""
    )


def _json_body(facts: _TokenFacts) -> str:
    declared = media_type(facts.request.headers.get("Content-Type") or "")
    is_json = json_object(facts.request) is not None
    if is_json and declared == _FORM:
        return "the body is JSON although the header says form: send grant_type=client_credentials"
    if is_json:
        return "the body is JSON; the token is asked for by a form: grant_type=client_credentials"
    if "json" in declared:
        return f"the body is a form although the header says JSON: say Content-Type: {_FORM}"
    return ""


def _grant_in_query(facts: _TokenFacts) -> str:
    if any(name == "grant_type" for name, _ in query_parameters(facts.request)):
        return "grant_type is in the query of the URL; it belongs into the body"
    return ""


def _no_form(facts: _TokenFacts) -> str:
    if facts.request.method != "POST":
        return f"{method_name(facts.request.method)} does not ask for a token; POST does"
    declared = facts.request.headers.get_all("Content-Type")
    if len(declared) != 1 or media_type(declared[0]) != _FORM:
        return f"say Content-Type: {_FORM}"
    if not any(name == "grant_type" for name, _ in body_parameters(facts.request)):
        return "the body must be grant_type=client_credentials"
    return ""


def _credentials_as_well(facts: _TokenFacts) -> str:
    places = (*body_parameters(facts.request), *query_parameters(facts.request))
    if facts.authorization and any(name == "client_secret" for name, _ in places):
        return "the credentials are sent twice; the Authorization header is enough"
    return ""


_BASIC_HINTS: tuple[Callable[[_TokenFacts], str], ...] = (
    _no_header,
    _wrong_scheme,
    _not_encoded,
    _wrapped,
    _line_feed,
    _url_safe,
    _unpadded,
    _encoded_twice,
    _no_colon,
    _swapped,
    _spaces,
    _quotes,
    _percent_encoded,
    _latin_1,
    _another_clients_secret,
    _unknown_client,
    _credentials_as_well,
)
"""What to look for in the header, the more specific first."""

_REQUEST_HINTS: tuple[Callable[[_TokenFacts], str], ...] = (
    _literal_braces,
    _json_body,
    _grant_in_query,
    _no_form,
)
"""What to look for in the rest of the request, the more specific first."""


def hint_for_api_call(request: Request, expectation: ApiExpectation) -> str:
    """The likely mistake behind a call of the API that is refused; empty if none comes to mind."""
    values = request.headers.get_all("Authorization")
    if not values:
        return _missing_bearer(request)
    if len(values) > 1:
        return "there is more than one Authorization header: does a session or proxy add its own?"
    authorization = read_authorization(values[0])
    return _scheme_of_call(authorization, expectation) or _token_of_call(authorization, expectation)


def _missing_bearer(request: Request) -> str:
    if any(name == "access_token" for name, _ in query_parameters(request)):
        return "the token is in the query of the URL; send Authorization: Bearer <token>"
    if request.headers.get("X-Api-Key") is not None:
        return "an API key was sent; this API takes Authorization: Bearer <token>"
    return "no Authorization header was sent; send Authorization: Bearer <token>"


def _scheme_of_call(authorization: Authorization, expectation: ApiExpectation) -> str:
    if not authorization.scheme:
        if authorization.rest in expectation.token_values:
            return "the scheme is missing: write `Bearer ` before the token"
        if authorization.rest.strip().lower() == "bearer":
            return "the token is empty: was it fetched?"
        return "the Authorization header names no scheme: it starts with `Bearer ` here"
    if authorization.is_scheme("Bearer"):
        return (
            ""
            if authorization.scheme == "Bearer"
            else (
                f"the scheme is {authorization.scheme!r}; write `Bearer` (was token_type copied?)"
            )
        )
    if authorization.is_scheme("Basic"):
        return "Basic is for the token endpoint; calls of the API are signed with Bearer <token>"
    if authorization.is_scheme("ApiKey"):
        return "ApiKey is how API keys are sent; with OAuth it is Authorization: Bearer <token>"
    return f"the scheme is {scheme_name(authorization.scheme)!r}; it should be Bearer"


def _token_of_call(authorization: Authorization, expectation: ApiExpectation) -> str:
    token = authorization.rest
    if token in expectation.token_values:
        return ""
    if token in {"None", "null", "undefined", "nil"}:
        return f"the token is the word {token!r}: the answer's access_token was not found"
    if token.lower().startswith("bearer "):
        return "`Bearer` is there twice"
    if token.lstrip().startswith("{"):
        return "the whole answer was sent as the token; send only its access_token"
    if token.strip("\"' \t") in expectation.token_values:
        return "the token has quotes or white space around it; send it as provided"
    return _decoded_token(token, expectation)


def _decoded_token(token: str, expectation: ApiExpectation) -> str:
    decoded = (decode_leniently(token) or b"").decode("utf-8", "replace")
    if decoded in expectation.token_values:
        return "the token was encoded in Base64; send it as provided"
    pairs = [f"{pair.client_id}:{pair.client_secret}" for pair in expectation.credentials]
    if any(same_text(decoded, pair) for pair in pairs):
        return "these are the client's credentials; ask the token endpoint for a token first"
    if unquoted(token) in expectation.token_values:
        return "the token was percent-encoded; send it as provided"
    damage = expectation.damage_of(token)
    return f"{damage.value}; send it as provided, and nothing else" if damage else ""
