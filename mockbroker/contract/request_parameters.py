"""Judges of the parameters of a token request: grant_type, scope, and what a profile requires.

Each mistake is named by one clause only, as in chapter ``request``, whose clauses use the judges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import parse_qsl

from mockbroker.contract.authentication import (
    Body,
    ClientCertificateMethod,
    PrivateKeyJwt,
    method_in,
)
from mockbroker.contract.clause import Flaw
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.forms import METHODS_WITHOUT_BODY, listed_values
from mockbroker.model.masking import quoted, shown
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "ASSERTION_NAMES",
    "credential_names",
    "is_unreadable",
    "judge_extra_parameters",
    "judge_grant_type",
    "judge_parameters",
    "judge_scope",
    "listed",
    "names_in",
    "parameters_of",
]

_CREDENTIAL_NAMES = frozenset({"client_id", "client_secret"})
ASSERTION_NAMES = frozenset({"client_assertion", "client_assertion_type"})
_LISTED_NAMES = 10
"""How many parameter names a message lists; a body of another format may split into thousands."""


def _requires_scope(profile: Profile) -> str:
    """Return the scope that examples have if each token request needs one; empty otherwise."""
    return profile.example_scope if profile.scope_required else ""


def is_unreadable(request: TokenRequest, profile: Profile) -> bool:
    """Return whether the method leaves a request without the body that the profile asks for."""
    return request.message.method in METHODS_WITHOUT_BODY and profile.body != "query"


def _place(profile: Profile) -> str:
    """Return the place of the parameters, in words."""
    return "query" if profile.body == "query" else "body"


def names_in(query: str) -> frozenset[str]:
    """Return the names of the parameters of a query."""
    return frozenset(name for name, _ in parameters_of(query))


def parameters_of(query: str) -> list[tuple[str, str]]:
    """Return the decoded parameters of a query."""
    # Most requests have none, and the judges ask several times for each.
    return parse_qsl(query, keep_blank_values=True) if query else []


def credential_names(profile: Profile) -> frozenset[str]:
    """Return the names under which a request may have credentials."""
    own = profile.parameter_names
    return _CREDENTIAL_NAMES | {own.client_id, own.client_secret}


def listed(names: Collection[str]) -> str:
    """Return the first names in alphabetical order, and how many more there are."""
    first, rest = sorted(names)[:_LISTED_NAMES], len(set(names)) - _LISTED_NAMES
    return ", ".join(map(shown, first)) + (f" and {rest} more" if rest > 0 else "")


def judge_grant_type(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a grant_type that is missing, repeated, elsewhere, or another one."""
    # RFC 6749, 3.2: "Request and response parameters MUST NOT be included more than once."
    profile = expected.profile
    if is_unreadable(request, profile) or profile.grant_type is False:
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


def judge_scope(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
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
    if is_unreadable(request, profile) or not scope:
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


def judge_parameters(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find parameters that the profile requires and that are missing, repeated or different."""
    profile = expected.profile
    yield from _flaws_of_headers(request, profile)
    if is_unreadable(request, profile) or not request.has_form_of(profile):
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


def judge_extra_parameters(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find parameters of the body that no clause and no configuration asks for.

    Credentials are left to the clauses on client authentication.
    """
    profile = expected.profile
    if is_unreadable(request, profile) or (profile.body == "form" and request.json is not None):
        return
    if not request.has_form_of(profile):
        return  # not a form at all: nothing in it could be extra
    extra = _extra_names(request, expected)
    if extra:
        what = f"the {_place(profile)} also has {listed(extra)}"
        yield Flaw(what, "grant_type and nothing else but what is configured or required")


def _extra_names(request: TokenRequest, expected: TokenExpectation) -> set[str]:
    """Return the names of the parameters that are extra, without those that other clauses judge."""
    profile = expected.profile
    extra = {name for name, value in request.parameters if _is_extra(name, value, expected)}
    if profile.body == "query":
        extra -= names_in(profile.token_query)
    if "refresh_token" in request.values("grant_type"):
        # It belongs to that grant, and refresh.same-grant names the mistake.
        extra.discard("refresh_token")
    method = method_in(request, expected.profile)
    if isinstance(method, Body):
        if not any(method.presents(request, pair) for pair in expected.credentials):
            return set()  # a secret that was not encoded splits: see post.credentials
        extra -= _CREDENTIAL_NAMES
    elif isinstance(method, (PrivateKeyJwt, ClientCertificateMethod)):
        # RFC 7521, 4.2: client_id is optional with an assertion; RFC 8705, 2, requires it with a
        # certificate. A secret breaks assertion.only or certificate.only. An assertion by the name
        # of the grant's parameter breaks assertion.sent.
        extra -= _CREDENTIAL_NAMES | ASSERTION_NAMES | {"assertion"}
    elif request.values("client_secret"):
        extra -= _CREDENTIAL_NAMES  # see basic.only
    return extra


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
