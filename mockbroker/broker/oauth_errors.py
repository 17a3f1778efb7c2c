"""The error responses of a strict broker: from breaches to the errors of the OAuth RFCs.

A token request gets an error of RFC 6749, 5.2, a call to the API one of RFC 6750, 3.1. Breaches
must be masked before they come here: the responses quote them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mockbroker.broker.answers import NO_STORE, error_description, json_response
from mockbroker.contract import clauses
from mockbroker.contract.authentication import METHODS
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Level
from mockbroker.model.breach import Breach, hints_of, in_one_line
from mockbroker.model.credentials import TokenState
from mockbroker.model.exchange import Endpoint
from mockbroker.model.forms import body_parameters
from mockbroker.model.messages import Request, Response

__all__ = [
    "api_refusal",
    "default_api_error",
    "default_token_error",
    "is_refused",
    "token_refusal",
    "unavailable",
]

# RFC 7617, 2.1: the charset parameter says that the server expects UTF-8.
BASIC_CHALLENGE = ("WWW-Authenticate", 'Basic realm="auth-broker", charset="UTF-8"')
METHOD_NOT_ALLOWED, UNAUTHORIZED, TOO_MANY, SERVER_ERROR, UNAVAILABLE = 405, 401, 429, 500, 503

_AUTHENTICATION_CHAPTERS = frozenset(method.chapter for method in METHODS)
# RFC 6749, 5.2 names this case under invalid_request: the request "utilizes more than one mechanism
# for authenticating the client".
_TWO_METHODS = tuple(
    {chapter.ONLY.id}
    for chapter in (clauses.basic, clauses.post, clauses.assertion, clauses.certificate)
)
# RFC 6750, 3.1: a malformed token is invalid_token. RFC 8705, 3: so is another certificate than
# that of the token.
_INVALID_TOKEN = {clauses.signing.BEARER.id, clauses.certificate.API.id}

# Separate sentences for one error code: RFC 6750 has invalid_token for all of them, but each has
# another cause in the client.
TOKEN_PROBLEMS = {
    TokenState.MISSING: "no bearer token in the Authorization header",
    TokenState.UNKNOWN: "this broker never issued that token",
    TokenState.FORGOTTEN: "the token is too old to be remembered: the broker keeps the newest only",
    TokenState.EXPIRED: "the token has expired",
    TokenState.REVOKED: "the token was revoked",
}


def is_refused(breach: Breach) -> bool:
    """Return whether a strict broker rejects a request for this breach.

    That is a breach of a MUST, or of a clause on the credentials that is more than advice.
    """
    # A real broker rejects credentials that it cannot read, whatever the level of the clause is.
    entry = clause_named(breach.clause_id)
    is_advice = entry.level is Level.PRACTICE
    return entry.level is Level.MUST or (
        entry.chapter in _AUTHENTICATION_CHAPTERS and not is_advice
    )


def token_refusal(request: Request, breaches: Sequence[Breach]) -> Response | None:
    """Return the error of RFC 6749, 5.2, for the breaches; None if none of them is serious.

    Of several breaches the first that a real broker would notice decides: method, URL, body, then
    credentials. The description names them all.
    """
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return _unsupported_grant(request)
    ids = {breach.clause_id for breach in grave}
    text, hint = _reasons(grave), in_one_line(hints_of(grave))
    if clauses.request.METHOD.id in ids:
        # RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405
        # response".
        return _oauth_error(METHOD_NOT_ALLOWED, "invalid_request", text, hint, ("Allow", "POST"))
    if clauses.request.URL.id in ids:
        # The path may be right and only a query added to it, which 404 would hide.
        return _oauth_error(400 if request.query else 404, "invalid_request", text, hint)
    if ids == {clauses.request.GRANT_TYPE.id} and _names_another_grant(request):
        return _oauth_error(400, "unsupported_grant_type", text, hint)
    if ids == {clauses.request.SCOPE.id}:
        return _oauth_error(400, "invalid_scope", text, hint)
    chapters = {clause_named(clause_id).chapter for clause_id in ids}
    if "request" in chapters or ids in _TWO_METHODS:
        return _oauth_error(400, "invalid_request", text, hint)
    # RFC 6749, 5.2: if the client used the Authorization header, the server "MUST respond with an
    # HTTP 401 (Unauthorized) status code and include the WWW-Authenticate response header field".
    return _oauth_error(UNAUTHORIZED, "invalid_client", text, hint, BASIC_CHALLENGE)


def _reasons(breaches: Sequence[Breach]) -> str:
    """Return all breaches as the text of an error description."""
    # A semicolon separates breaches, so within one of them stands a comma.
    return "; ".join(f"{breach.what}, expected {breach.expected}" for breach in breaches)


def _unsupported_grant(request: Request) -> Response | None:
    """Return the error for another grant that is well-formed, such as refresh_token; or None."""
    if not _names_another_grant(request):
        return None
    text = "this broker supports the grant client_credentials only"
    return _oauth_error(400, "unsupported_grant_type", text, "")


def _names_another_grant(request: Request) -> bool:
    """Return whether the form has exactly one grant_type, with another value."""
    parameters = body_parameters(request)
    grants = [value for name, value in parameters if name == "grant_type" and value]
    # Quotes around the value are a mistake in its encoding, not another grant.
    return len(grants) == 1 and grants[0].strip("\"' ") != "client_credentials"


def _oauth_error(
    status: int, code: str, text: str, hint: str, *headers: tuple[str, str]
) -> Response:
    """Return an error response of the token endpoint (RFC 6749, 5.2).

    ``hint`` is a member of its own, because the RFC limits the characters of error_description. The
    RFC allows additional members: clients ignore those that they do not know.
    """
    members = {"error": code, "error_description": error_description(text)}
    if hint:
        members["hint"] = hint
    return json_response(status, members, *NO_STORE, *headers)


# Every token request has one at hand, and few need it.
@lru_cache(maxsize=64)
def default_token_error(status: int) -> Response:
    """Return the token endpoint's response for a status that is scripted without a body.

    It has the headers of a real one: no-store always, and the challenge with 401.
    """
    # RFC 6749, 5.2 has codes for 400 and 401 only. The codes of 4.1.2.1 serve for 5xx, as many
    # providers use them.
    codes = {UNAUTHORIZED: "invalid_client", UNAVAILABLE: "temporarily_unavailable"}
    usual = "server_error" if status >= SERVER_ERROR else "invalid_request"
    challenge = (BASIC_CHALLENGE,) if status == UNAUTHORIZED else ()
    members = {"error": codes.get(status, usual), "error_description": "scripted by the test"}
    return json_response(status, members, *NO_STORE, *challenge)


def unavailable(endpoint: Endpoint, why: str) -> Response:
    """Return the response of a broker whose shared state is unavailable, in the endpoint's form."""
    hint = "send the request again later; the broker recovers without a restart"
    headers = (("Retry-After", "1"), *NO_STORE)
    if endpoint is Endpoint.TOKEN:
        # RFC 6749, 4.1.2.1 has the code; 5.2 has none for 5xx.
        members: dict[str, object] = {
            "error": "temporarily_unavailable",
            "error_description": error_description(why),
        }
    else:
        members = _api_error(why)
    return json_response(UNAVAILABLE, {**members, "hint": hint}, *headers)


def default_api_error(status: int, now: float) -> Response:
    """Return the API's response for a status that is scripted without a body.

    ``now`` is in Unix seconds.
    """
    headers: tuple[tuple[str, str], ...] = ()
    if status == UNAUTHORIZED:
        headers = (_bearer_challenge("invalid_token", "scripted by the test"),)
    if status == TOO_MANY:
        # The vendor's own fields; Rate-Limit-Reset is a Unix time in seconds.
        # Any moment in the near future serves: the API itself enforces no rate.
        headers = (
            ("Rate-Limit-Remaining", "0"),
            ("Rate-Limit-Total", "1000"),
            ("Rate-Limit-Reset", str(int(now) + 60)),
        )
    return json_response(status, _api_error("scripted by the test"), *headers)


def api_refusal(state: TokenState, breaches: Sequence[Breach]) -> Response | None:
    """Return the error of RFC 6750, 3.1, for the token's state and the breaches; None if valid."""
    # The state comes first: a client with an expired token must learn that it has to refresh,
    # whatever else is wrong with its call.
    hint = in_one_line(hints_of(breaches))
    if state is TokenState.MISSING:
        return _bearer_error(UNAUTHORIZED, "", TOKEN_PROBLEMS[state], hint)
    if state is not TokenState.VALID:
        return _bearer_error(UNAUTHORIZED, "invalid_token", TOKEN_PROBLEMS[state], hint)
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return None
    text = _reasons(grave)
    # RFC 6750, 3.1: a malformed token is invalid_token with 401. A malformed request is
    # invalid_request with 400.
    if any(breach.clause_id in _INVALID_TOKEN for breach in grave):
        return _bearer_error(UNAUTHORIZED, "invalid_token", text, hint)
    return _bearer_error(400, "invalid_request", text, hint)


def _bearer_error(status: int, code: str, text: str, hint: str) -> Response:
    """Return an error response of the API in the vendor's form, with the challenge of RFC 6750."""
    members = _api_error(text)
    if hint:
        members["hint"] = hint
    return json_response(status, members, _bearer_challenge(code, text))


def _bearer_challenge(code: str, text: str) -> tuple[str, str]:
    """Return the WWW-Authenticate field of an error (RFC 6750, 3); ``code`` may be empty."""
    # RFC 6750, 3.1: if the request lacks any authentication information, "the resource server
    # SHOULD NOT include an error code or other error information".
    if not code:
        return ("WWW-Authenticate", 'Bearer realm="auth-broker"')
    description = error_description(text)
    return (
        "WWW-Authenticate",
        f'Bearer realm="auth-broker", error="{code}", error_description="{description}"',
    )


def _api_error(text: str) -> dict[str, object]:
    """Return the members of an error in the vendor's form; the caller may add others."""
    return {"error": True, "message": text}
