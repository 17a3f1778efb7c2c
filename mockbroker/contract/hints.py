"""Hints: from a wrong request to the likely mistake in the client.

They make the vendor's troubleshooting list specific. A hint addresses the author of the client. It
never holds a secret or a token.
"""

from __future__ import annotations

from mockbroker.contract.authentication import method_in
from mockbroker.contract.authentication.token_binding import BindingProblem, binding_problem
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.request_hints import mistakes_in_form
from mockbroker.model.authorization import Authorization, decode_leniently, read_authorization
from mockbroker.model.credentials import same_text
from mockbroker.model.forms import query_parameters, unquoted
from mockbroker.model.masking import header_name, scheme_name
from mockbroker.model.messages import Request
from mockbroker.model.placeholders import placeholder_in
from mockbroker.model.token_request import TokenRequest

__all__ = ["hint_for_api_call", "hints_for_token_request"]


def hints_for_token_request(
    request: TokenRequest, expected: TokenExpectation, chapter: str = ""
) -> tuple[str, ...]:
    """Return the likely mistakes behind a wrong token request, each once.

    With ``chapter`` only mistakes that break clauses of that chapter count: ``request``, or that
    of a client authentication method.
    """
    method = method_in(request, expected.profile)
    found: dict[str, None] = {}  # instead of a set, because the order matters
    if chapter in {"", method.chapter}:
        found.update(dict.fromkeys(method.mistakes(request, expected)))
    if chapter in {"", "request"}:
        found.update(dict.fromkeys(mistakes_in_form(request, expected)))
    return tuple(found)


def hint_for_api_call(request: Request, expected: ApiExpectation) -> str:
    """Return the likely mistake behind a rejected API call, or an empty string."""
    if not expected.is_usual:
        return _carried_otherwise(request, expected)
    values = request.headers.get_all("Authorization")
    if not values:
        return _missing_bearer(request)
    if len(values) > 1:
        # Which of them the client meant is unknown, so none of them is explained.
        return "there is more than one Authorization header: does a session or proxy add its own?"
    authorization = read_authorization(values[0])
    return (
        _scheme_of_call(authorization, expected)
        or _token_of_call(authorization, expected)
        or _certificate_of_call(request, expected)
    )


def _carried_otherwise(request: Request, expected: ApiExpectation) -> str:
    """Recognize a token that is not where the provider has it; empty if it is there."""
    name = expected.header
    values = request.headers.get_all(name)
    if not values:
        others = {field for field, value in request.headers if expected.tokens_in(value)}
        where = f"the token is in the header {header_name(min(others))}" if others else ""
        return f"{where or f'no {name} header was sent'}; send {expected.example}"
    if len(values) > 1:
        return f"there is more than one {name} header; send {expected.example} once"
    authorization = read_authorization(values[0])
    if authorization.scheme != expected.scheme:
        return f"the header {name} has another form; send {expected.example}"
    return _token_of_call(authorization, expected)


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
    placeholder = placeholder_in(token)
    # Brackets around a token may look like a placeholder.
    if placeholder and not expected.damage_of(token):
        return f"a placeholder is left in place of the token: {placeholder}; put the value there"
    if ", bearer " in token.lower():
        return (
            "the header holds two tokens, joined by a comma: replace the value when a call is "
            "repeated, and do not add another one"
        )
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


def _certificate_of_call(request: Request, expected: ApiExpectation) -> str:
    """Recognize a bound token that is presented with another certificate, or without one."""
    problem = binding_problem(request, expected)
    if problem is BindingProblem.NO_CERTIFICATE:
        return (
            "the token is bound to the certificate of its token request: give certificate and "
            "private key to the HTTP client of the API as well, and use https"
        )
    if problem is BindingProblem.OTHER_CERTIFICATE:
        return (
            "the token is bound to another certificate: present the same one as at the token "
            "endpoint, and request a new token after a renewal"
        )
    return ""


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
