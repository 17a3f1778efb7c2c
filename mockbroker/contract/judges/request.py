"""Judges of the chapter ``request``: how a token is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.breach import Breach
from mockbroker.model.forms import body_parameters, json_object, media_type, query_parameters
from mockbroker.model.masking import method_name, quoted, shown
from mockbroker.model.messages import Request

__all__ = ["NO_BODY_METHODS", "judge_request"]

FORM = "application/x-www-form-urlencoded"
CREDENTIAL_NAMES = frozenset({"client_id", "client_secret"})
_MOST_LISTED = 10
NO_BODY_METHODS = frozenset({"GET", "HEAD"})


def judge_request(request: Request, expectation: TokenExpectation) -> Iterator[Breach]:
    """What is wrong with a token request, but for how the client authenticates."""
    yield from _method(request)
    yield from _accept(request)
    if request.method in NO_BODY_METHODS:
        return  # its parameters can only be in the query: one mistake, and said already
    yield from _url(request, expectation)
    yield from _content_type(request)
    yield from _grant_type(request)
    yield from _extra_parameters(request, expectation)


def _method(request: Request) -> Iterator[Breach]:
    # RFC 6749, 3.2: "The client MUST use the HTTP "POST" method when making access token requests."
    if request.method != "POST":
        yield Breach(
            "request.method", f"the token was asked for by {method_name(request.method)}", "POST"
        )


def _url(request: Request, expectation: TokenExpectation) -> Iterator[Breach]:
    if request.path != expectation.token_path:
        yield Breach(
            "request.url",
            f"the request went to {shown(request.path)}",
            f"{expectation.token_path}, as configured",
        )
    names = {name for name, _ in query_parameters(request)} - CREDENTIAL_NAMES
    if not any(name == "grant_type" for name, _ in body_parameters(request)):
        names -= {"grant_type"}
    if names:
        listed = _listed(names)
        yield Breach("request.url", f"the URL got a query of its own: {listed}", "no query")


def _content_type(request: Request) -> Iterator[Breach]:
    values = request.headers.get_all("Content-Type")
    if len(values) == 1 and media_type(values[0]) == FORM:
        return
    if not values:
        what = "there is no Content-Type"
    elif len(values) > 1:
        what = f"there are {len(values)} Content-Type headers"
    else:
        what = f"Content-Type is {quoted(values[0])}"
    yield Breach("request.content-type", what, FORM)


def _grant_type(request: Request) -> Iterator[Breach]:
    # RFC 6749, 3.2: "Request and response parameters MUST NOT be included more than once."
    grants = [value for name, value in body_parameters(request) if name == "grant_type"]
    if grants in (["client_credentials"], ["refresh_token"]):
        return  # the second is a matter of refresh.same-grant
    expected = "grant_type=client_credentials, once, in a form-encoded body"
    yield Breach("request.grant-type", _what_grant_type(request, grants), expected)


def _what_grant_type(request: Request, grants: list[str]) -> str:
    if len(grants) > 1:
        return f"grant_type is in the body {len(grants)} times"
    if grants:
        return f"grant_type is {quoted(grants[0])}"
    if json_object(request) is not None:
        return "the body is JSON, not a form"
    if any(name == "grant_type" for name, _ in query_parameters(request)):
        return "grant_type is in the query, not in the body"
    return "the body is empty" if not request.body else "the body has no grant_type"


def _extra_parameters(request: Request, expectation: TokenExpectation) -> Iterator[Breach]:
    if json_object(request) is not None:
        return
    parameters = body_parameters(request)
    grants = {value for name, value in parameters if name == "grant_type"}
    if not grants:
        return  # no form at all: there is nothing that could be extra
    extra = sorted({name for name, value in parameters if _is_extra(name, value, expectation)})
    if "refresh_token" in grants:
        extra = [name for name in extra if name != "refresh_token"]
    if any(name == "client_secret" for name, _ in parameters):
        extra = [name for name in extra if name not in CREDENTIAL_NAMES]
    if extra:
        yield Breach(
            "request.no-extra-parameters",
            f"the body also has {_listed(extra)}",
            "grant_type and nothing else but a configured scope",
        )


def _listed(names: Collection[str]) -> str:
    """The first names in alphabetical order, and how many there are more."""
    first, rest = sorted(names)[:_MOST_LISTED], len(set(names)) - _MOST_LISTED
    return ", ".join(map(shown, first)) + (f" and {rest} more" if rest > 0 else "")


def _is_extra(name: str, value: str, expectation: TokenExpectation) -> bool:
    if name == "scope":
        return value not in ("", expectation.scope)
    return name != "grant_type"


def _accept(request: Request) -> Iterator[Breach]:
    values = request.headers.get_all("Accept")
    if values and not _accepts_json(",".join(values)):
        yield Breach(
            "request.accept",
            f"Accept is {quoted(', '.join(values))}",
            "application/json, a range that holds it, or no Accept at all",
        )


def _accepts_json(accept: str) -> bool:
    """Whether the ranges admit application/json; the most specific one that fits decides."""
    quality: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality[name] = _quality(parameters)
    for name in ("application/json", "application/*", "*/*"):
        if name in quality:
            return quality[name] > 0
    return not accept.strip()


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 1.0
    return 1.0
