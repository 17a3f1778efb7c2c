"""The error responses of a strict broker: from breaches to the errors of the OAuth RFCs.

A token request gets an error of RFC 6749, 5.2, a call to the API one of RFC 6750, 3.1. Breaches
must be masked before they come here: the responses quote them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mockbroker.broker.answer_form import error_words
from mockbroker.broker.answers import NO_STORE, error_description, json_response, render_json
from mockbroker.contract import clauses
from mockbroker.contract.authentication import METHODS
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Level
from mockbroker.model.breach import Breach, hints_of, in_one_line
from mockbroker.model.credentials import TokenState
from mockbroker.model.exchange import Endpoint
from mockbroker.model.masking import method_name, shown
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.model.profile import ErrorForm, Profile
from mockbroker.model.profile_parts import TOKEN_SITUATIONS
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "Refusal",
    "api_refusal",
    "default_api_error",
    "default_token_error",
    "forbidden_refusal",
    "header_refusal",
    "is_refused",
    "quota_refusal",
    "refusal_response",
    "still_valid_refusal",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a strict broker refuses a request, and the error of the RFC for it.

    ``situation`` is one of `TOKEN_SITUATIONS` or `API_SITUATIONS`, by which a profile has forms of
    its own. ``code`` may be empty.
    """

    situation: str
    status: int
    code: str
    text: str
    hint: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def refusal_response(refusal: Refusal, request: Request, profile: Profile, now: float) -> Response:
    """Return the response to a refused request, in the profile's form or the RFC's.

    ``now`` is in Unix seconds.
    """
    form = profile.error_form(refusal.situation)
    is_token_request = refusal.situation in TOKEN_SITUATIONS
    if form is not None:
        return _in_form(form, refusal, request, now, NO_STORE if is_token_request else ())
    return _oauth_error(refusal) if is_token_request else _bearer_error(refusal)


def _in_form(
    form: ErrorForm,
    refusal: Refusal,
    request: Request,
    now: float,
    further: tuple[tuple[str, str], ...],
) -> Response:
    """Return an error response in a form of the provider's own."""
    words = {
        "error": refusal.code,
        "description": refusal.text,
        "hint": refusal.hint,
        "status": str(form.status),
        "path": shown(request.path),
        "method": method_name(request.method),
        **error_words(now),
    }
    own = form.fields()
    named = {name.lower() for name in own}
    # The RFCs' fields belong to their status: a challenge to 401, Allow to 405.
    rest = (*further, *(refusal.headers if form.status == refusal.status else ()))
    fields = (*own.items(), *(pair for pair in rest if pair[0].lower() not in named))
    body = form.filled(words).encode("utf-8", "replace")
    # The response has a reason even where the form of the provider has none.
    reason = refusal.hint or ("" if "{description}" in form.body else refusal.text)
    hinted = _with_hint(body, reason) if "{hint}" not in form.body else body
    return Response(form.status, Headers(fields), hinted)


def _with_hint(body: bytes, hint: str) -> bytes:
    """Return a JSON object with the hint as a further member, and any other body as it is."""
    try:
        members = json.loads(body)
    except ValueError:
        return body
    return render_json({**members, "hint": hint}) if hint and isinstance(members, dict) else body


def token_refusal(
    request: TokenRequest, breaches: Sequence[Breach], profile: Profile
) -> Refusal | None:
    """Return the error of RFC 6749, 5.2, for the breaches; None if none of them is serious.

    Of several breaches the first that a real broker would notice decides: method, URL, body, then
    credentials. The description names them all.
    """
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return _unsupported_grant(request)
    ids = {breach.clause_id for breach in grave}
    situation, status, code, headers = _error_of(request, ids, profile)
    return Refusal(
        situation=situation,
        status=status,
        code=code,
        text=_reasons(grave),
        hint=in_one_line(hints_of(grave)),
        headers=headers,
    )


def _error_of(
    request: TokenRequest, ids: set[str], profile: Profile
) -> tuple[str, int, str, tuple[tuple[str, str], ...]]:
    """Return the situation, the status, the error code and the header fields for broken clauses."""
    if clauses.request.METHOD.id in ids:
        # RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405
        # response".
        return "wrong_method", METHOD_NOT_ALLOWED, "invalid_request", (("Allow", profile.method),)
    if clauses.request.URL.id in ids:
        # The path may be right and only a query added to it, which 404 would hide.
        return "wrong_path", 400 if request.message.query else 404, "invalid_request", ()
    if ids == {clauses.request.GRANT_TYPE.id} and _names_another_grant(request, profile):
        return "unsupported_grant_type", 400, "unsupported_grant_type", ()
    if ids == {clauses.request.SCOPE.id}:
        return "invalid_scope", 400, "invalid_scope", ()
    chapters = {clause_named(clause_id).chapter for clause_id in ids}
    if "request" in chapters or ids in _TWO_METHODS:
        return "invalid_request", 400, "invalid_request", ()
    # RFC 6749, 5.2: if the client used the Authorization header, the server "MUST respond with an
    # HTTP 401 (Unauthorized) status code and include the WWW-Authenticate response header field".
    return "invalid_client", UNAUTHORIZED, "invalid_client", (BASIC_CHALLENGE,)


def _reasons(breaches: Sequence[Breach]) -> str:
    """Return all breaches as the text of an error description."""
    # A semicolon separates breaches, so within one of them stands a comma.
    return "; ".join(f"{breach.what}, expected {breach.expected}" for breach in breaches)


def _unsupported_grant(request: TokenRequest) -> Refusal | None:
    """Return the error for another grant that is well-formed, such as refresh_token; or None."""
    if request.values("grant_type") != ("refresh_token",):
        return None
    return Refusal(
        situation="unsupported_grant_type",
        status=400,
        code="unsupported_grant_type",
        text="this broker supports the grant client_credentials only",
    )


def _names_another_grant(request: TokenRequest, profile: Profile) -> bool:
    """Return whether the form has exactly one grant_type, with another value."""
    grants = [value for value in request.values("grant_type") if value]
    # Quotes around the value are a mistake in its encoding, not another grant.
    return len(grants) == 1 and grants[0].strip("\"' ") != profile.grant_type


def quota_refusal(wait_seconds: float) -> Refusal:
    """Return the error for a client that has requested too many tokens."""
    wait = math.ceil(wait_seconds)
    return Refusal(
        situation="quota",
        status=TOO_MANY,
        code="too_many_requests",
        text=f"too many token requests; try again in {wait} seconds",
        hint="keep a token as long as it is valid, and use it for every call",
        headers=(("Retry-After", str(wait)),),
    )


def still_valid_refusal(left_seconds: float) -> Refusal:
    """Return the error for a client that has a valid token, where the provider gives one only."""
    return Refusal(
        situation="token_still_valid",
        status=400,
        code="invalid_request",
        text=f"the client has a token that is valid for another {math.ceil(left_seconds)} seconds",
        hint="keep the token, also for other processes: this provider gives no second one",
    )


def _oauth_error(refusal: Refusal) -> Response:
    """Return an error response of the token endpoint (RFC 6749, 5.2).

    The hint is a member of its own, because the RFC limits the characters of error_description. The
    RFC allows additional members: clients ignore those that they do not know.
    """
    members = {"error": refusal.code, "error_description": error_description(refusal.text)}
    if refusal.hint:
        members["hint"] = refusal.hint
    return json_response(refusal.status, members, *NO_STORE, *refusal.headers)


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


def api_refusal(state: TokenState, breaches: Sequence[Breach], profile: Profile) -> Refusal | None:
    """Return the error of RFC 6750, 3.1, for the token's state and the breaches; None if valid."""
    # The state comes first: a client with an expired token must learn that it has to refresh,
    # whatever else is wrong with its call.
    hint = in_one_line(hints_of(breaches))
    if state is not TokenState.VALID:
        is_missing = state is TokenState.MISSING
        return Refusal(
            situation=_STATE_SITUATIONS.get(state, "token_invalid"),
            status=UNAUTHORIZED,
            code="" if is_missing else "invalid_token",
            text=_problem_text(state, profile),
            hint=hint,
        )
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return None
    # RFC 6750, 3.1: a malformed token is invalid_token with 401. A malformed request is
    # invalid_request with 400.
    if any(breach.clause_id in _INVALID_TOKEN for breach in grave):
        situation, status, code = "token_invalid", UNAUTHORIZED, "invalid_token"
    else:
        situation, status, code = "bad_call", 400, "invalid_request"
    return Refusal(situation=situation, status=status, code=code, text=_reasons(grave), hint=hint)


def _problem_text(state: TokenState, profile: Profile) -> str:
    """Return why a token is refused."""
    if state is TokenState.MISSING and profile.api_header != "Authorization":
        return f"no token in the {profile.api_header} header"
    return TOKEN_PROBLEMS[state]


_STATE_SITUATIONS = {
    TokenState.MISSING: "token_missing",
    TokenState.EXPIRED: "token_expired",
}


def header_refusal(request: Request, profile: Profile) -> Refusal | None:
    """Return the error for a call that lacks header fields of the profile; None if none is."""
    missing = [n for n in profile.api_required_headers if not request.headers.get(n)]
    if not missing:
        return None
    return Refusal(
        situation="bad_call",
        status=400,
        code="invalid_request",
        text=f"the call lacks the header field {', '.join(missing)}",
        hint=f"profile {profile.name} requires it in each call",
    )


def forbidden_refusal(path: str) -> Refusal:
    """Return the error for a call outside the agreed endpoints.

    RFC 6750, 3.1: insufficient_scope goes with status 403. A new token would not help the client.
    """
    return Refusal(
        situation="forbidden",
        status=403,
        code="insufficient_scope",
        text=f"{path} is not among the endpoints agreed for this client",
    )


def _bearer_error(refusal: Refusal) -> Response:
    """Return an error response of the API in the vendor's form, with the challenge of RFC 6750."""
    members = _api_error(refusal.text)
    if refusal.hint:
        members["hint"] = refusal.hint
    challenge = _bearer_challenge(refusal.code, refusal.text)
    return json_response(refusal.status, members, challenge)


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
