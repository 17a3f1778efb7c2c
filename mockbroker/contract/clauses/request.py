"""Chapter ``request``: the form of the token request (RFC 6749, 4.4.2).

Each mistake is named by one clause only. The judges therefore return early where another clause
already names the mistake: a client with one defect should see one breach.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from urllib.parse import parse_qsl

from mockbroker.contract.authentication import (
    Body,
    ClientCertificateMethod,
    PrivateKeyJwt,
    method_in,
)
from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    TokenRequestJudge,
    Wording,
    provider,
    rfc,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.profile_words import argument_for, body_in_words, separator_in_words
from mockbroker.model.exchange import Exchange
from mockbroker.model.forms import body_parameters, listed_values, media_type
from mockbroker.model.masking import method_name, quoted, shown
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "ACCEPT",
    "ANY_TOKEN_REQUEST",
    "CLAUSES",
    "CONTENT_TYPE",
    "GRANT_TYPE",
    "METHOD",
    "NO_EXTRA_PARAMETERS",
    "PARAMETERS",
    "SCOPE",
    "URL",
    "is_accepted",
    "token_request_seen",
]

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_CREDENTIAL_NAMES = frozenset({"client_id", "client_secret"})
_ASSERTION_NAMES = frozenset({"client_assertion", "client_assertion_type"})
_LISTED_NAMES = 10
"""How many parameter names a message lists; a body of another format may split into thousands."""
# RFC 9110, 9.3.1: content in a GET request "has no generally defined semantics".
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD"})


def token_request_seen(lack: str, fits: Callable[[Exchange], bool]) -> Precondition:
    """Make the precondition that some token request fits.

    ``lack`` is what a report says while none does.
    """
    return Precondition(lack, lambda trace: any(fits(e) for e in trace.token_requests))


def _has_body(exchange: Exchange) -> bool:
    """Return whether the method of a request allows parameters in its body."""
    return exchange.request.method not in _METHODS_WITHOUT_BODY


def _has_form(exchange: Exchange) -> bool:
    """Return whether the parameters of the request can be read, in RFC 6749's form or another."""
    names = {name for name, _ in body_parameters(exchange.request)}
    return (_has_body(exchange) and "grant_type" in names) or is_accepted(exchange)


def _has_scope(exchange: Exchange) -> bool:
    """Return whether the request has a scope, in RFC 6749's form or another."""
    parts = TokenRequest.of(exchange.request)
    if any(parts.values("scope")):
        return True
    elsewhere = any(parts.values_in_url("scope")) or bool((parts.json or {}).get("scope"))
    return elsewhere and is_accepted(exchange)


def is_accepted(exchange: Exchange) -> bool:
    """Return whether the broker issued a token, and found nothing wrong with the request's form.

    Then its parameters have the form of the profile, which an exchange does not name.
    """
    is_formal = not any(breach.clause_id.startswith("request.") for breach in exchange.breaches)
    return exchange.token is not None and is_formal


def _requires_parameters(profile: Profile) -> str:
    """Return why request.parameters does not apply to a profile; empty if it does."""
    if profile.parameters or profile.open_parameters or profile.required_headers:
        return ""
    return f"profile {profile.name} requires no further parameters"


def _requires_scope(profile: Profile) -> str:
    """Return the scope that examples have if each token request needs one; empty otherwise."""
    return profile.example_scope if profile.scope_required else ""


def _is_unreadable(request: TokenRequest, profile: Profile) -> bool:
    """Return whether the method leaves a request without the body that the profile asks for."""
    return request.message.method in _METHODS_WITHOUT_BODY and profile.body != "query"


def _place(profile: Profile) -> str:
    """Return the place of the parameters, in words."""
    return "query" if profile.body == "query" else "body"


ANY_TOKEN_REQUEST = token_request_seen("no token request was seen", lambda _: True)
_BODY_SEEN = token_request_seen("no token request except by GET was seen", _has_body)


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
    if _is_unreadable(request, expected.profile):
        return  # its parameters can only be in the query: one mistake, which request.method names
    if request.message.path != expected.token_path:
        what = f"the request went to {shown(request.message.path)}"
        yield Flaw(what, f"{expected.token_path}, as configured")
    configured = expected.profile.token_query
    # RFC 6749, 3.2: a query of the endpoint's URI "MUST be retained when adding additional query
    # parameters".
    sent = set(_parameters_of(request.message.query))
    lost = {part for part in configured.split("&") if not sent.issuperset(_parameters_of(part))}
    if lost:
        what = f"the query of the URL lacks {_listed(lost)}"
        yield Flaw(what, f"?{shown(configured)}, as configured")
        return  # a parameter that was changed would look like one that was added
    if expected.profile.body == "query":
        return  # request.no-extra-parameters judges what is in it
    # Credentials in the URL are a breach of a clause on client authentication.
    credentials = _credential_names(expected.profile) | _ASSERTION_NAMES
    names = request.names_in_query - credentials - _names_in(configured)
    if not request.values("grant_type"):
        names -= {"grant_type"}  # then request.grant-type names it
    if names:
        wanted = f"no query but ?{shown(configured)}" if configured else "no query"
        yield Flaw(f"the client added a query to the URL: {_listed(names)}", wanted)


def _credential_names(profile: Profile) -> frozenset[str]:
    """Return the names under which a request may have credentials."""
    own = profile.parameter_names
    return _CREDENTIAL_NAMES | {own.client_id, own.client_secret}


def _names_in(query: str) -> frozenset[str]:
    """Return the names of the parameters of a query."""
    return frozenset(name for name, _ in _parameters_of(query))


def _parameters_of(query: str) -> list[tuple[str, str]]:
    """Return the decoded parameters of a query."""
    # Most requests have none, and the judges ask several times for each.
    return parse_qsl(query, keep_blank_values=True) if query else []


def _judge_content_type(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a missing, repeated or other media type.

    Parameters are allowed: many libraries send a charset, which changes nothing for a form in
    ASCII.
    """
    if request.message.method in _METHODS_WITHOUT_BODY or expected.profile.body == "query":
        return
    wanted = _FORM if expected.profile.body == "form" else _JSON
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


def _judge_grant_type(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a grant_type that is missing, repeated, elsewhere, or another one."""
    # RFC 6749, 3.2: "Request and response parameters MUST NOT be included more than once."
    profile = expected.profile
    if _is_unreadable(request, profile) or profile.grant_type is False:
        return
    grants = request.values("grant_type")
    if grants in ((profile.grant_type,), ("refresh_token",)):
        return  # the second one is for refresh.same-grant to judge
    places = {
        "form": "in a form-encoded body",
        "json": "in a JSON body",
        "query": "in the query of the URL",
    }
    name = profile.parameter_names.grant_type
    what = _what_grant_type(request, grants, profile)
    yield Flaw(what, f"{name}={profile.grant_type}, once, {places[profile.body]}")


def _what_grant_type(request: TokenRequest, grants: tuple[str, ...], profile: Profile) -> str:
    """Return what is wrong with the grant_type, in words, the most specific mistake first."""
    name, place = profile.parameter_names.grant_type, _place(profile)
    if len(grants) > 1:
        return f"{name} is in the {place} {len(grants)} times"
    if grants:
        return f"{name} is {quoted(grants[0])}"
    if profile.body == "form" and request.json is not None:
        return "the body is JSON, not a form"
    if profile.body == "query":
        elsewhere = name in request.names_in_body
        return f"{name} is in the body, not in the query" if elsewhere else f"{name} is missing"
    if name in request.names_in_query:
        return f"{name} is in the query, not in the body"
    if profile.body == "json" and request.json is None and request.message.body:
        return "the body is not a JSON object"
    return f"the body has no {name}" if request.message.body else "the body is empty"


def _has_listed_scope(request: TokenRequest, profile: Profile) -> bool:
    """Return whether a JSON body has the scope as a list, where it is a string."""
    members = request.json if profile.body == "json" else None
    return isinstance((members or {}).get(profile.parameter_names.scope), list)


def _judge_scope(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a scope that is not the configured one, or is repeated.

    A missing scope is not a flaw: the client may have no setting for it, and the server then uses
    a default (RFC 6749, 3.3).
    """
    profile = expected.profile
    scope = expected.scope or _requires_scope(profile)
    if _has_listed_scope(request, profile):
        name = profile.parameter_names.scope
        yield Flaw(f"{name} is a JSON list", f"{name}, one string with the values in it")
        return
    if _is_unreadable(request, profile) or not scope:
        return
    scopes = [value for value in request.values("scope") if value]
    separator, name = profile.scope_separator, profile.parameter_names.scope
    wanted = f"{name}={shown(separator.join(scope.split()))}, once"
    if len(scopes) > 1:
        yield Flaw(f"{name} is in the {_place(profile)} {len(scopes)} times", wanted)
    elif not scopes and profile.scope_required and request.has_form_of(profile):
        yield Flaw(f"the {_place(profile)} lacks {name}", f"{name}, such as {shown(scope)}")
    elif not expected.scope:
        return  # the test has set none, so that any scope may be right
    # RFC 6749, 3.3: "If the value contains multiple space-delimited strings, their order does not
    # matter".
    elif scopes and sorted(scopes[0].split(separator)) != sorted(expected.scope.split()):
        yield Flaw(f"{name} is {quoted(scopes[0])}", wanted)


def _judge_parameters(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find parameters that the profile requires and that are missing, repeated or different."""
    profile = expected.profile
    yield from _flaws_of_headers(request, profile)
    if _is_unreadable(request, profile) or not request.has_form_of(profile):
        return  # not a form: request.grant-type names it
    place = _place(profile)
    for name, example in {**profile.parameters, **profile.open_parameters}.items():
        values = [value for value in request.values(name) if value]
        if values == [example] or (name in profile.open_parameters and len(values) == 1):
            continue
        if not values:
            what = f"the {place} lacks {name}"
        elif len(values) > 1:
            what = f"{name} is in the {place} {len(values)} times"
        else:
            what = f"{name} is {quoted(values[0])}"
        yield Flaw(what, f"{name}={shown(example)}, once")


def _flaws_of_headers(request: TokenRequest, profile: Profile) -> Iterator[Flaw]:
    """Find header fields that the profile requires and that are missing or different."""
    for name, wanted in profile.required_headers.items():
        value = ", ".join(request.message.headers.get_all(name))
        if not value:
            value_words = "any value" if wanted == "*" else shown(wanted)
            yield Flaw(f"the header field {name} is missing", f"{name}: {value_words}")
        elif wanted != "*" and wanted.lower() not in listed_values(value):
            yield Flaw(f"{name} is {quoted(value)}", f"{name}: {shown(wanted)}")


def _judge_extra_parameters(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find parameters of the body that no clause and no configuration asks for.

    Credentials are left to the clauses on client authentication.
    """
    profile = expected.profile
    if _is_unreadable(request, profile) or (profile.body == "form" and request.json is not None):
        return
    grants = request.values("grant_type")
    if not request.has_form_of(profile):
        return  # not a form at all: nothing in it could be extra
    extra = {name for name, value in request.parameters if _is_extra(name, value, expected)}
    if profile.body == "query":
        extra -= _names_in(profile.token_query)
    if "refresh_token" in grants:
        # It belongs to that grant, and refresh.same-grant names the mistake.
        extra.discard("refresh_token")
    method = method_in(request, expected.profile)
    if isinstance(method, Body):
        if not any(method.presents(request, pair) for pair in expected.credentials):
            return  # a secret that was not encoded splits into parameters: see post.credentials
        extra -= _CREDENTIAL_NAMES
    elif isinstance(method, (PrivateKeyJwt, ClientCertificateMethod)):
        # RFC 7521, 4.2: client_id is optional with an assertion; RFC 8705, 2, requires it with a
        # certificate. A secret breaks assertion.only or certificate.only. An assertion by the name
        # of the grant's parameter breaks assertion.sent.
        extra -= _CREDENTIAL_NAMES | _ASSERTION_NAMES | {"assertion"}
    elif request.values("client_secret"):
        extra -= _CREDENTIAL_NAMES  # see basic.only
    if extra:
        what = f"the {_place(profile)} also has {_listed(extra)}"
        yield Flaw(what, "grant_type and nothing else but what is configured or required")


def _is_extra(name: str, value: str, expected: TokenExpectation) -> bool:
    """Return whether a parameter is neither grant_type nor configured nor required."""
    # RFC 6749, 3.2: "Parameters sent without a value MUST be treated as if they were omitted from
    # the request."
    if name == "scope":
        # Whether it is the configured one is for request.scope to judge.
        return value != "" and not (expected.scope or expected.profile.scope_required)
    if name == "grant_type":
        return expected.profile.grant_type is False
    return name not in expected.profile.further_parameters


def _listed(names: Collection[str]) -> str:
    """Return the first names in alphabetical order, and how many more there are."""
    first, rest = sorted(names)[:_LISTED_NAMES], len(set(names)) - _LISTED_NAMES
    return ", ".join(map(shown, first)) + (f" and {rest} more" if rest > 0 else "")


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


def _method_words(profile: Profile) -> Wording:
    if profile.method == "POST":
        return {} if profile.body == "form" else {"fix": _send_by(profile)}
    return {
        "title": f"requests a token by {profile.method}",
        "sources": (provider("method"),),
        "why": f"The token endpoint of this provider accepts only {profile.method}.",
        "fix": _send_by(profile),
    }


def _send_by(profile: Profile) -> str:
    """Return how a token request is sent, as an instruction."""
    place = body_in_words(profile)
    return f"Send the token request by {profile.method}, with its parameters in {place}."


def _media_type_words(profile: Profile) -> Wording:
    if profile.allows_empty_body:
        wanted = _FORM if profile.body == "form" else _JSON
        return {
            "title": f"sends media type {wanted} (any case, parameters allowed), once, if the "
            "token request has a body",
            "sources": (provider("body"), rfc(9110, "8.3")),
            "why": "This provider needs no parameters, so that a token request needs no body. The "
            "broker reads the body of a request that has one by its media type.",
            "fix": "Send the token request without a body, or let the HTTP library encode it "
            f"({argument_for(profile)}), and do not set Content-Type yourself.",
        }
    if profile.body != "json":
        return {}
    return {
        "title": "sends media type application/json (any case, parameters allowed), once",
        "sources": (provider("body"),),
        "why": "The broker reads the body by its media type. Without one, or with that of a form, "
        "it does not find the parameters and refuses the request.",
        "fix": f"Let the HTTP library encode the JSON ({argument_for(profile)}), and do not set "
        "Content-Type yourself.",
    }


def _grant_words(profile: Profile) -> Wording:
    name, place = profile.parameter_names.grant_type, body_in_words(profile)
    pair = f"{name}={profile.grant_type}"
    if (pair, profile.body) == ("grant_type=client_credentials", "form"):
        return {}
    return {
        "title": f"sends {pair} exactly once, in {place}",
        "sources": (provider("grant_type", "parameter_names", "body"),),
        "why": f"Without exactly one parameter {name} in {place} there is nothing that the broker "
        "could grant.",
        "fix": f"Send {pair} once, in {place} ({argument_for(profile)}).",
    }


def _scope_words(profile: Profile) -> Wording:
    name, separator = profile.parameter_names.scope, separator_in_words(profile)
    if (name, profile.scope_separator, profile.scope_required) == ("scope", " ", False):
        return {}
    needed = ", and one in each token request" if profile.scope_required else ""
    return {
        "title": f"sends a configured scope as one parameter {name}, several values joined by "
        f"{separator}{needed}",
        "sources": (provider("scope_separator", "scope_required", "parameter_names"),),
        "why": f"A broker reads one parameter and splits it at {separator}. Values that are joined "
        "in another way, or repeated parameters, are an unknown scope or a part of the configured "
        "one.",
        "fix": f"Send the configured values as one parameter {name}, joined by {separator}.",
    }


def _parameter_words(profile: Profile) -> Wording:
    names = [*profile.parameters, *profile.open_parameters]
    counted = (("parameter", names), ("header field", [*profile.required_headers]))
    wanted = " and ".join(
        f"the {noun}{'s' * (len(each) > 1)} {', '.join(each)}" for noun, each in counted if each
    )
    pages = provider("parameters", "open_parameters", "required_headers")
    return {
        "title": f"sends what the provider requires, once each: {wanted}",
        "sources": (pages, rfc(8707, "2")) if "resource" in names else (pages,),
        "fix": f"Take {wanted} from the configuration, and send each of them once with every token "
        "request, also with a refresh.",
    }


def _extra_words(profile: Profile) -> Wording:
    if profile.body == "form" and list(profile.example_parameters) == ["grant_type"]:
        return {}
    place = "query" if profile.body == "query" else "body"
    own = [name for name in profile.example_parameters if name != profile.parameter_names.scope]
    names = ", ".join(own) or "the credentials"
    return {
        "title": f"sends nothing else in the {place} but what the provider requires, and a "
        "configured scope",
        "fix": f"Send only {names}, and a scope if one is configured. Make everything else an "
        "option that is off by default.",
    }


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
    wording=_method_words,
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
    precondition=_BODY_SEEN,
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
    wording=_media_type_words,
    judge=TokenRequestJudge(_judge_content_type),
    precondition=_BODY_SEEN,
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
    wording=_grant_words,
    judge=TokenRequestJudge(_judge_grant_type),
    precondition=_BODY_SEEN,
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
    wording=_scope_words,
    judge=TokenRequestJudge(_judge_scope),
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
    wording=_parameter_words,
    judge=TokenRequestJudge(_judge_parameters),
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
    wording=_extra_words,
    judge=TokenRequestJudge(_judge_extra_parameters),
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
