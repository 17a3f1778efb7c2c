"""Hints: from a wrong request to the likely mistake in the client.

They make the vendor's troubleshooting list specific. A hint addresses the author of the client. It
never holds a secret or a token.
"""

from __future__ import annotations

import re

from mockbroker.contract.authentication import method_in
from mockbroker.contract.authentication.method import Hint
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.model.authorization import Authorization, decode_leniently, read_authorization
from mockbroker.model.credentials import same_text
from mockbroker.model.forms import LOOKED_AT_BYTES, media_type, query_parameters, unquoted
from mockbroker.model.masking import method_name, scheme_name, shown
from mockbroker.model.messages import Request
from mockbroker.model.token_request import TokenRequest

__all__ = ["hint_for_api_call", "hint_for_token_request"]

# The vendor's page shows the body as `{ grant_type: client_credentials }`, and clients send it so.
_LITERAL = re.compile(rb"\{\s*['\"]?grant_type['\"]?\s*[:=]\s*['\"]?\w+['\"]?\s*\}")
_FORM = "application/x-www-form-urlencoded"


def hint_for_token_request(
    request: TokenRequest, expected: TokenExpectation, chapter: str = ""
) -> str:
    """Return the likely mistake behind a wrong token request, or an empty string.

    With ``chapter`` only mistakes that break clauses of that chapter count: ``request``, or that
    of a client authentication method.
    """
    method = method_in(request, expected.profile)
    hints = {method.chapter: method.hints, "request": _REQUEST_HINTS}
    looks = hints.get(chapter, ()) if chapter else (*method.hints, *_REQUEST_HINTS)
    return next((hint for look in looks if (hint := look(request, expected))), "")


def _literal_braces(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize the body in the notation of the vendor's page."""
    body = request.message.body[:LOOKED_AT_BYTES].strip()
    # With quotes it is valid JSON, which `_json_body` explains.
    is_literal = _LITERAL.fullmatch(body) and request.json is None
    return (
        (
            "the body is `{ grant_type: client_credentials }` literally, as the documentation "
            "prints it; send grant_type=client_credentials"
        )
        if is_literal
        else ""
    )


def _json_body(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize a body or a media type of JSON."""
    declared = media_type(request.message.headers.get("Content-Type") or "")
    is_json = request.json is not None
    if is_json and declared == _FORM:
        return "the body is JSON although the header says form: send grant_type=client_credentials"
    if is_json:
        return "the body is JSON; send a form: grant_type=client_credentials"
    if "json" in declared:
        return f"the body is a form although the header says JSON: send Content-Type: {_FORM}"
    return ""


def _grant_in_query(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize a grant_type in the URL."""
    if "grant_type" in request.names_in_query:
        return "grant_type is in the query of the URL; send it in the body"
    return ""


def _no_form(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize another method, another media type, or a missing grant_type."""
    if request.message.method != "POST":
        return f"use POST to request a token, not {method_name(request.message.method)}"
    declared = request.message.headers.get_all("Content-Type")
    if len(declared) != 1 or media_type(declared[0]) != _FORM:
        return f"send Content-Type: {_FORM}"
    if not request.values("grant_type"):
        return "the body must be grant_type=client_credentials"
    return ""


def _missing_parameters(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize that a parameter is missing which the profile requires."""
    required = expected.profile.parameters
    missing = [name for name in required if not any(request.values(name))]
    if not missing:
        return ""
    # The value as well: it is a setting of the provider, and never a secret.
    pairs = ", ".join(f"{name}={shown(required[name])}" for name in missing)
    return f"profile {expected.profile.name} requires {pairs} in the body of the token request"


_REQUEST_HINTS: tuple[Hint, ...] = (
    _literal_braces,
    _json_body,
    _grant_in_query,
    _no_form,
    _missing_parameters,
)
"""The hints for anything but the client authentication, the more specific first."""


def hint_for_api_call(request: Request, expected: ApiExpectation) -> str:
    """Return the likely mistake behind a rejected API call, or an empty string."""
    values = request.headers.get_all("Authorization")
    if not values:
        return _missing_bearer(request)
    if len(values) > 1:
        # Which of them the client meant is unknown, so none of them is explained.
        return "there is more than one Authorization header: does a session or proxy add its own?"
    authorization = read_authorization(values[0])
    return _scheme_of_call(authorization, expected) or _token_of_call(authorization, expected)


def _missing_bearer(request: Request) -> str:
    """Recognize where a call without an Authorization header has its token or key."""
    if any(name == "access_token" for name, _ in query_parameters(request)):
        return "the token is in the query of the URL; send Authorization: Bearer <token>"
    if request.headers.get("X-Api-Key") is not None:
        return "an API key was sent; this API takes Authorization: Bearer <token>"
    return "no Authorization header was sent; send Authorization: Bearer <token>"


def _scheme_of_call(authorization: Authorization, expected: ApiExpectation) -> str:
    """Recognize a missing scheme, and the schemes for other purposes; empty for Bearer."""
    if not authorization.scheme:
        if authorization.rest in expected.token_values:
            return "the scheme is missing: write `Bearer ` before the token"
        # The word alone has no space after it, and was read as a value without a scheme.
        if authorization.rest.strip().lower() == "bearer":
            return "the token is empty: was it fetched?"
        return "the Authorization header names no scheme: it must start with `Bearer `"
    if authorization.is_scheme("Bearer"):
        return (
            ""
            if authorization.scheme == "Bearer"
            else (
                f"the scheme is {authorization.scheme!r}; write `Bearer` (was token_type copied?)"
            )
        )
    if authorization.is_scheme("Basic"):
        return "Basic is for the token endpoint; sign API calls with Bearer <token>"
    if authorization.is_scheme("ApiKey"):
        return "ApiKey is for API keys; with OAuth send Authorization: Bearer <token>"
    return f"the scheme is {scheme_name(authorization.scheme)!r}; it should be Bearer"


def _token_of_call(authorization: Authorization, expected: ApiExpectation) -> str:
    """Recognize what was sent in place of the token; empty if the token was issued."""
    token = authorization.rest
    if token in expected.token_values:
        return ""
    # The names of "no value" in Python, JSON and Java, JavaScript, and Go and Ruby.
    if token in {"None", "null", "undefined", "nil"}:
        return f"the token is the word {token!r}: the answer's access_token was not found"
    # A client that stores the whole header value as its token adds the scheme a second time.
    if token.lower().startswith("bearer "):
        return "the word `Bearer` occurs twice"
    if token.lstrip().startswith("{"):
        return "the whole answer was sent as the token; send only its access_token"
    if token[:2] in {"b'", 'b"'} and token[2:-1] in expected.token_values:
        return "the token was bytes, written as b'…': decode it to a string"
    if token.strip("\"' \t") in expected.token_values:
        return "the token has quotes or white space around it; send it as provided"
    return _decoded_token(token, expected)


def _decoded_token(token: str, expected: ApiExpectation) -> str:
    """Recognize a token that was encoded or damaged, and credentials in its place."""
    decoded = (decode_leniently(token) or b"").decode("utf-8", "replace")
    if decoded in expected.token_values:
        return "the token was encoded in Base64; send it as provided"
    pairs = [f"{pair.client_id}:{pair.client_secret}" for pair in expected.credentials]
    if any(same_text(decoded, pair) for pair in pairs):
        return "these are the client's credentials; ask the token endpoint for a token first"
    if unquoted(token) in expected.token_values:
        return "the token was percent-encoded; send it as provided"
    damage = expected.damage_of(token)
    return f"{damage.value}; send it as provided, and nothing else" if damage else ""
