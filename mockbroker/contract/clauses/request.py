"""Chapter ``request``: the form of the token request (RFC 6749, 4.4.2).

Each mistake is named by one clause only. The judges therefore return early where another clause
already names the mistake: a client with one defect should see one breach.
"""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    TokenRequestJudge,
    provider,
    rfc,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.preconditions import (
    ANY_TOKEN_REQUEST,
    BODY_SEEN,
    has_body,
    is_accepted,
    token_request_seen,
)
from mockbroker.contract.request_parameters import (
    ASSERTION_NAMES,
    credential_names,
    is_unreadable,
    judge_extra_parameters,
    judge_grant_type,
    judge_parameters,
    judge_scope,
    listed,
    names_in,
    parameters_of,
)
from mockbroker.contract.request_wording import (
    extra_words,
    grant_words,
    media_type_words,
    method_words,
    parameter_words,
    scope_words,
)
from mockbroker.model.exchange import Exchange
from mockbroker.model.forms import FORM, JSON, METHODS_WITHOUT_BODY, body_parameters, media_type
from mockbroker.model.masking import method_name, quoted, shown
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "ACCEPT",
    "CLAUSES",
    "CONTENT_TYPE",
    "GRANT_TYPE",
    "METHOD",
    "NO_EXTRA_PARAMETERS",
    "PARAMETERS",
    "SCOPE",
    "URL",
]


def _has_form(exchange: Exchange) -> bool:
    """Return whether the parameters of the request can be read, in RFC 6749's form or another."""
    names = {name for name, _ in body_parameters(exchange.request)}
    return (has_body(exchange) and "grant_type" in names) or is_accepted(exchange)


def _has_scope(exchange: Exchange) -> bool:
    """Return whether the request has a scope, in RFC 6749's form or another."""
    parts = TokenRequest.of(exchange.request)
    if any(parts.values("scope")):
        return True
    elsewhere = any(parts.values_in_url("scope")) or bool((parts.json or {}).get("scope"))
    return elsewhere and is_accepted(exchange)


def _requires_parameters(profile: Profile) -> str:
    """Return why request.parameters does not apply to a profile; empty if it does."""
    if profile.parameters or profile.open_parameters or profile.required_headers:
        return ""
    return f"profile {profile.name} requires no further parameters"


def _judge_method(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find token requests by another method than the profile's, which is nearly always POST."""
    # RFC 6749, 3.2: "The client MUST use the HTTP "POST" method when making access token requests."
    method = request.message.method
    if method != expected.profile.method:
        yield Flaw(
            f"the client requested a token by {method_name(method)}", expected.profile.method
        )


def _judge_url(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find another path, a changed query, and a query that the client added.

    The path is compared undecoded and with its case, as proxies and routers may do it. A query is
    compared decoded: RFC 6749, 3.2, has it form-urlencoded, and HTTP libraries write its characters
    in different ways.
    """
    if is_unreadable(request, expected.profile):
        return  # its parameters can only be in the query: one mistake, which request.method names
    if request.message.path != expected.token_path:
        what = f"the request went to {shown(request.message.path)}"
        yield Flaw(what, f"{expected.token_path}, as configured")
    configured = expected.profile.token_query
    # RFC 6749, 3.2: a query of the endpoint's URI "MUST be retained when adding additional query
    # parameters".
    sent = set(parameters_of(request.message.query))
    lost = {part for part in configured.split("&") if not sent.issuperset(parameters_of(part))}
    if lost:
        what = f"the query of the URL lacks {listed(lost)}"
        yield Flaw(what, f"?{shown(configured)}, as configured")
        return  # a parameter that was changed would look like one that was added
    if expected.profile.body == "query":
        return  # request.no-extra-parameters judges what is in it
    # Credentials in the URL are a breach of a clause on client authentication.
    credentials = credential_names(expected.profile) | ASSERTION_NAMES
    names = request.names_in_query - credentials - names_in(configured)
    if not request.values("grant_type"):
        names -= {"grant_type"}  # then request.grant-type names it
    if names:
        wanted = f"no query but ?{shown(configured)}" if configured else "no query"
        yield Flaw(f"the client added a query to the URL: {listed(names)}", wanted)


def _judge_content_type(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a missing, repeated or other media type.

    Parameters are allowed: many libraries send a charset, which changes nothing for a form in
    ASCII.
    """
    if request.message.method in METHODS_WITHOUT_BODY or expected.profile.body == "query":
        return
    wanted = FORM if expected.profile.body == "form" else JSON
    values = request.message.headers.get_all("Content-Type")
    if len(values) == 1 and media_type(values[0]) == wanted:
        return
    # RFC 9110, 8.3: a sender generates Content-Type in "a message containing content".
    if expected.profile.allows_empty_body and not request.message.body:
        return
    if not values:
        what = "Content-Type is missing"
    elif len(values) > 1:
        what = f"there are {len(values)} Content-Type headers"
    else:
        what = f"Content-Type is {quoted(values[0])}"
    yield Flaw(what, wanted)


def _judge_accept(request: TokenRequest, _: TokenExpectation) -> Iterator[Flaw]:
    """Find an Accept that excludes JSON.

    A missing or empty Accept allows every media type.
    """
    values = request.message.headers.get_all("Accept")
    # RFC 9110, 5.3: several fields of one name mean the same as one field with a list.
    if values and not _accepts_json(",".join(values)):
        what = f"Accept is {quoted(', '.join(values))}"
        yield Flaw(what, "application/json, a range that includes it, or no Accept at all")


def _accepts_json(accept: str) -> bool:
    """Return whether the ranges include application/json (RFC 9110, 12.5.1).

    "The most specific reference has precedence", so application/json;q=0 excludes it from */*.
    """
    quality: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality[name] = _quality(parameters)
    for name in ("application/json", "application/*", "*/*"):
        if name in quality:
            # The names go from the most specific range to the least, so the first one decides.
            return quality[name] > 0
    return not accept.strip()


def _quality(parameters: list[str]) -> float:
    """Return the weight of a media range (RFC 9110, 12.4.2); 1 if it is missing or invalid."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                # Any positive number serves, since only 0 excludes a media type.
                return float(value)
            except ValueError:
                return 1.0
    return 1.0


def _has_media_type(profile: Profile) -> str:
    """Return why a token request has no body; empty if it has one."""
    if profile.body != "query":
        return ""
    return f"profile {profile.name} has the parameters in the query of the URL"


def _has_grant_type(profile: Profile) -> str:
    """Return why a token request names no grant; empty if it does."""
    return f"profile {profile.name} has no grant_type" if profile.grant_type is False else ""


METHOD = Clause(
    id="request.method",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="requests a token by POST",
    sources=(provider("method", "token_path"), rfc(6749, "3.2")),
    consequence="the broker refuses every token request, and proxies may log the secret",
    why="A token endpoint accepts only POST. With GET the parameters, and often the secret among "
    "them, end up in the log of every proxy on the way.",
    fix="Send the token request by POST, with grant_type in the body.",
    wording=method_words,
    judge=TokenRequestJudge(_judge_method),
    precondition=ANY_TOKEN_REQUEST,
)
# RFC 6749, 3.2: the endpoint URI may have a query, "which MUST be retained when adding additional
# query parameters".
URL = Clause(
    id="request.url",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="uses the token URL exactly as configured: path, slash at the end or none, "
    "percent-encoding, path parameters, query, port; adds no query of its own",
    sources=(provider("token_path", "token_query"), rfc(6749, "3.2")),
    consequence="token requests go to the wrong address, so that no token is issued",
    why="Path and query of the token URL are part of its configuration. An additional or lost "
    "slash or parameter names another resource: a 404, or a redirect that drops the body.",
    fix="Use the configured URL as it is. Do not join, strip, decode or rebuild it, and do not "
    "pass query parameters to the HTTP library.",
    judge=TokenRequestJudge(_judge_url),
    precondition=BODY_SEEN,
)
# RFC 6749, 4.4.2: the client adds its parameters "using the "application/x-www-form-urlencoded"
# format … in the HTTP request entity-body".
CONTENT_TYPE = Clause(
    id="request.content-type",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends media type application/x-www-form-urlencoded (any case, parameters allowed), once",
    sources=(provider("body"), rfc(6749, "4.4.2")),
    consequence="the broker cannot read the token request and refuses it",
    why="The broker reads the body by its media type. Without one, or with that of JSON, it does "
    "not find grant_type and refuses the request.",
    fix="Let the HTTP library encode a form (`data={…}` in requests and httpx), and do not set "
    "Content-Type yourself.",
    applies_to=_has_media_type,
    wording=media_type_words,
    judge=TokenRequestJudge(_judge_content_type),
    precondition=BODY_SEEN,
)
# RFC 6749, 4.4.2: "grant_type REQUIRED. Value MUST be set to "client_credentials"."
GRANT_TYPE = Clause(
    id="request.grant-type",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends grant_type=client_credentials exactly once, in a form-encoded body",
    sources=(provider("grant_type"), rfc(6749, "3.2"), rfc(6749, "4.4.2")),
    consequence="the broker refuses the token request, because it does not name the grant",
    why="Without exactly one grant_type in the body there is nothing that the broker could grant. "
    "RFC 6749 forbids sending a parameter twice.",
    fix="Send the body grant_type=client_credentials, form-encoded, once.",
    applies_to=_has_grant_type,
    wording=grant_words,
    judge=TokenRequestJudge(judge_grant_type),
    precondition=BODY_SEEN,
)
# RFC 6749, 3.3: "The value of the scope parameter is expressed as a list of space-delimited,
# case-sensitive strings." Some providers have another separator, so the profile says it.
SCOPE = Clause(
    id="request.scope",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="sends a configured scope as one parameter, several values joined as the profile says "
    "(space)",
    sources=(rfc(6749, "3.3"),),
    consequence="the client gets a token without the configured permissions, or none",
    why="A broker reads one parameter and splits it at its separator. Values that are joined by "
    "commas, or repeated parameters, are an unknown scope or a part of the configured one.",
    fix="Send the configured string as one parameter, scope=read+write in a form. Join a list of "
    "values by a space.",
    wording=scope_words,
    judge=TokenRequestJudge(judge_scope),
    precondition=token_request_seen("no token request with a scope was seen", _has_scope),
)
# RFC 8707, 2: "In requests to the authorization server, a client MAY indicate the protected
# resource (a.k.a. resource server, application, API, etc.) to which it is requesting access". Which
# parameters a provider requires is on its own page, as the profile has it.
PARAMETERS = Clause(
    id="request.parameters",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends what the profile requires (audience, resource, account_id), once each",
    sources=(provider("parameters", "open_parameters", "required_headers"), rfc(8707, "2")),
    consequence="the provider refuses the token request, or issues a token that the API rejects",
    why="A provider that issues tokens for one API at a time refuses a request that does not name "
    "the API, or issues a token that the API rejects.",
    fix="Take the provider's further parameters from the configuration, and send each of them once "
    "in the body of every token request, also of a refresh.",
    applies_to=_requires_parameters,
    wording=parameter_words,
    judge=TokenRequestJudge(judge_parameters),
    precondition=token_request_seen("no token request with a grant_type was seen", _has_form),
)
# A SHOULD only: RFC 6749, 3.2, says that the authorization server "MUST ignore unrecognized request
# parameters". But brokers differ, and the vendor documents one parameter.
NO_EXTRA_PARAMETERS = Clause(
    id="request.no-extra-parameters",
    level=Level.SHOULD,
    impact=Impact.COMPATIBILITY,
    title="sends nothing else in the body but a configured scope and what the profile requires",
    sources=(provider("body", "parameters", "grant_type"),),
    consequence="a stricter broker refuses the token request",
    why="A broker may refuse parameters that it does not know, and what one provider requires "
    "(audience, resource) is unknown to another.",
    fix="Send only grant_type, and scope if one is configured. Make everything else an option that "
    "is off by default.",
    wording=extra_words,
    judge=TokenRequestJudge(judge_extra_parameters),
    precondition=token_request_seen("no token request with a grant_type was seen", _has_form),
)
# RFC 9110, 12.4.1: "a request that does not contain the field implies that the sender has no
# preference on that dimension of negotiation". So a missing header is right.
ACCEPT = Clause(
    id="request.accept",
    level=Level.SHOULD,
    impact=Impact.COMPATIBILITY,
    title="does not rule out application/json in Accept",
    sources=(rfc(9110, "12.5.1"),),
    consequence="a stricter broker answers the token request with an error",
    why="An Accept header that rules JSON out asks for an answer that the broker cannot give: it "
    "answers 406, or an error page in HTML.",
    fix="Send Accept: application/json, or leave the header to the HTTP library.",
    judge=TokenRequestJudge(_judge_accept),
    precondition=ANY_TOKEN_REQUEST,
)

CLAUSES = (
    METHOD,
    URL,
    CONTENT_TYPE,
    GRANT_TYPE,
    SCOPE,
    PARAMETERS,
    NO_EXTRA_PARAMETERS,
    ACCEPT,
)
