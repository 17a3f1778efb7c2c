"""How a strict broker words a refusal: from breaches to the errors of the OAuth RFCs."""

from __future__ import annotations

from collections.abc import Sequence

from mockbroker.broker.answers import NO_STORE, error_description, json_response
from mockbroker.contract.catalogue import clause
from mockbroker.contract.clause import Level
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import TokenState
from mockbroker.model.forms import body_parameters
from mockbroker.model.messages import Request, Response

__all__ = [
    "api_refusal",
    "default_api_error",
    "default_token_error",
    "is_refused",
    "token_refusal",
]

BASIC_CHALLENGE = ("WWW-Authenticate", 'Basic realm="auth-broker", charset="UTF-8"')
METHOD_NOT_ALLOWED, UNAUTHORIZED, TOO_MANY, SERVER_ERROR, UNAVAILABLE = 405, 401, 429, 500, 503

TOKEN_PROBLEMS = {
    TokenState.MISSING: "no bearer token in the Authorization header",
    TokenState.UNKNOWN: "this broker never issued that token",
    TokenState.FORGOTTEN: "the token is too old to be remembered: the broker keeps the newest only",
    TokenState.EXPIRED: "the token has expired",
    TokenState.REVOKED: "the token was revoked",
}


def is_refused(breach: Breach) -> bool:
    """Whether a strict broker refuses because of it: a MUST, or unreadable credentials."""
    entry = clause(breach.clause_id)
    return entry.level is Level.MUST or entry.chapter == "basic"


def token_refusal(request: Request, breaches: Sequence[Breach]) -> Response | None:
    """The error of RFC 6749, 5.2, that fits the breaches; None if they do not matter so much."""
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return _unsupported_grant(request)
    ids = {breach.clause_id for breach in grave}
    text, hint = _reasons(grave), grave[0].hint
    if "request.method" in ids:
        return _oauth_error(METHOD_NOT_ALLOWED, "invalid_request", text, hint, ("Allow", "POST"))
    if "request.url" in ids:
        return _oauth_error(400 if request.query else 404, "invalid_request", text, hint)
    if ids <= {"request.grant-type"} and _names_another_grant(request):
        return _oauth_error(400, "unsupported_grant_type", text, hint)
    if any(clause_id.startswith("request.") for clause_id in ids) or ids == {"basic.only"}:
        return _oauth_error(400, "invalid_request", text, hint)
    return _oauth_error(UNAUTHORIZED, "invalid_client", text, hint, BASIC_CHALLENGE)


def _reasons(breaches: Sequence[Breach]) -> str:
    return "; ".join(f"{breach.what}; expected {breach.expected}" for breach in breaches)


def _unsupported_grant(request: Request) -> Response | None:
    """Refuse another grant that is well-formed, such as refresh_token."""
    if not _names_another_grant(request):
        return None
    text = "this broker knows no grant but client_credentials"
    return _oauth_error(400, "unsupported_grant_type", text, "")


def _names_another_grant(request: Request) -> bool:
    parameters = body_parameters(request)
    grants = [value for name, value in parameters if name == "grant_type" and value]
    return len(grants) == 1 and grants[0].strip("\"' ") != "client_credentials"


def _oauth_error(
    status: int, code: str, text: str, hint: str, *headers: tuple[str, str]
) -> Response:
    members = {"error": code, "error_description": error_description(text)}
    if hint:
        members["hint"] = hint
    return json_response(status, members, *NO_STORE, *headers)


def default_token_error(status: int) -> Response:
    """What the token endpoint answers when a status is scripted without a body."""
    codes = {UNAUTHORIZED: "invalid_client", UNAVAILABLE: "temporarily_unavailable"}
    usual = "server_error" if status >= SERVER_ERROR else "invalid_request"
    challenge = (BASIC_CHALLENGE,) if status == UNAUTHORIZED else ()
    members = {"error": codes.get(status, usual), "error_description": "scripted by the test"}
    return json_response(status, members, *NO_STORE, *challenge)


def default_api_error(status: int, now: float) -> Response:
    """What the API answers when a status is scripted without a body; ``now`` in Unix seconds."""
    headers: tuple[tuple[str, str], ...] = ()
    if status == UNAUTHORIZED:
        headers = (_bearer_challenge("invalid_token", "scripted by the test"),)
    if status == TOO_MANY:
        headers = (
            ("Rate-Limit-Remaining", "0"),
            ("Rate-Limit-Total", "1000"),
            ("Rate-Limit-Reset", str(int(now) + 60)),
        )
    return json_response(status, _api_error("scripted by the test"), *headers)


def api_refusal(state: TokenState, breaches: Sequence[Breach]) -> Response | None:
    """The error of RFC 6750, 3.1, for the token's state and the breaches; None if all is well."""
    hint = breaches[0].hint if breaches else ""
    if state is TokenState.MISSING:
        return _bearer_error(UNAUTHORIZED, "", TOKEN_PROBLEMS[state], hint)
    if state is not TokenState.VALID:
        return _bearer_error(UNAUTHORIZED, "invalid_token", TOKEN_PROBLEMS[state], hint)
    grave = [breach for breach in breaches if is_refused(breach)]
    if not grave:
        return None
    text = _reasons(grave)
    if any(breach.clause_id == "signing.bearer" for breach in grave):
        return _bearer_error(UNAUTHORIZED, "invalid_token", text, hint)
    return _bearer_error(400, "invalid_request", text, hint)


def _bearer_error(status: int, code: str, text: str, hint: str) -> Response:
    members = _api_error(text)
    if hint:
        members["hint"] = hint
    return json_response(status, members, _bearer_challenge(code, text))


def _bearer_challenge(code: str, text: str) -> tuple[str, str]:
    if not code:  # RFC 6750, 3.1: no error code for a request without authentication
        return ("WWW-Authenticate", 'Bearer realm="auth-broker"')
    description = error_description(text)
    return (
        "WWW-Authenticate",
        f'Bearer realm="auth-broker", error="{code}", error_description="{description}"',
    )


def _api_error(text: str) -> dict[str, object]:
    return {"error": True, "message": text}
