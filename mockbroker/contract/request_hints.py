"""Likely mistakes in the form of a token request: URL, method, media type and body.

Each function looks for the mistakes of one part of the request, the more specific first, and
returns one of them. Those of different parts are independent: a request may have several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import parse_qsl

from mockbroker.contract.body_hints import grant_in_form, mistake_in_body
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.profile_words import separator_in_words
from mockbroker.model.forms import (
    FORM,
    JSON,
    METHODS_WITHOUT_BODY,
    listed_values,
    media_type,
    unquoted,
)
from mockbroker.model.masking import method_name, shown
from mockbroker.model.placeholders import placeholder_in
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest
from mockbroker.model.typography import TYPOGRAPHIC_QUOTES, as_utf_8, without_hidden

__all__ = ["hint_on_path", "is_usual_token_path", "mistakes_in_form"]

_OTHER_GRANTS = frozenset(
    {"password", "authorization_code", "implicit", "device_code", "token", "code"}
)
_MEDIA_TYPES = (FORM, JSON, "multipart/form-data", "text/plain")
_PRINTED_VALUE = re.compile(r"[\w.:/+ -]{1,40}")


def mistakes_in_form(request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
    """Yield the likely mistakes in the form of a request, part by part."""
    profile = expected.profile
    body = mistake_in_body(request, profile)
    parts = (
        hint_on_path(request.message.path, expected.token_path)
        or _on_other_path(request.message.path, expected.token_path),
        _on_token_query(request, profile),
        _on_method(request, profile),
        _grant_in_query(request, profile),
        body.hint if body else "",
        "" if body and body.explains_type else _on_media_type(request, profile),
        _on_compression(request),
        "" if body else _on_grant_type(request, profile),
        *_on_names(request, profile),
        _on_listed_scope(request, profile),
        _on_placeholders(request, is_form=body is None),
        "" if body else _missing_parameters(request, profile),
        *(() if body else _wrong_parameters(request, profile)),
        _missing_headers(request, profile),
        *_wrong_headers(request, profile),
        _id_in_body(request, expected),
    )
    yield from filter(None, parts)


# The URL and the method


def hint_on_path(path: str, wanted: str) -> str:
    """Return the likely mistake in a path that is nearly the wanted one, or an empty string."""
    if path == wanted:
        return ""
    folder, _, name = wanted.rpartition("/")
    causes = (
        (path.rstrip("/") == wanted, "there is a slash at the end of the path; leave it out"),
        (f"{path}/" == wanted, "the slash at the end of the path is missing"),
        (
            re.sub("/{2,}", "/", path) == wanted,
            "there is a doubled slash in the path: does the base URL end in a slash?",
        ),
        (
            _HOST.match(path) is not None,
            "the path has the host in it: a whole URL was appended to a base URL",
        ),
        (
            bool(folder) and path == folder + wanted,
            f"the path has {folder} twice: is it in the base URL as well?",
        ),
        (
            path in {wanted + wanted, f"{wanted}/{name}"},
            "the end of the path is there twice: is the whole token URL in the base URL?",
        ),
        (
            path.endswith(wanted),
            f"a prefix stands before the path of the token URL; it is {wanted}",
        ),
        (path.lower() == wanted.lower(), f"upper and lower case matter in a path; it is {wanted}"),
        (
            unquoted(path).strip(" \t\r\n\"'") == wanted,
            "the path has white space, quotes or percent-encoding that does not belong to it",
        ),
        (
            len(path) <= 2 * len(wanted) and bool(get_close_matches(path, [wanted], cutoff=0.85)),
            f"the path is misspelt; the path of the token URL is {wanted}",
        ),
    )
    return next((hint for fits, hint in causes if fits), "")


def _on_other_path(path: str, wanted: str) -> str:
    """Return the hint on a path that other providers have; empty for any other."""
    if path == wanted or not is_usual_token_path(path):
        return ""
    return f"other providers have that path; the path of this token URL is {wanted}"


def is_usual_token_path(path: str) -> bool:
    """Return whether the path is that of the token endpoint of many providers."""
    return _USUAL.fullmatch(path) is not None


_USUAL = re.compile(r"(?:/[\w.-]+)*/(?:access[-_]?)?token/?", re.IGNORECASE)
_HOST = re.compile(r"/+(?:https?:|[\w.-]+:\d+/|localhost)")


def _on_token_query(request: TokenRequest, profile: Profile) -> str:
    """Recognize a lost or changed part of the query that the token URL has."""
    wanted = parse_qsl(profile.token_query, keep_blank_values=True)
    lost = [pair for pair in wanted if pair not in request.query]
    if not lost:
        return ""
    right = f"the token URL has the query ?{shown(profile.token_query)}"
    name = lost[0][0]
    sent = next((value for key, value in request.query if key == name), None)
    if sent is None:
        return f"{shown(name)} is missing in the URL; {right}"
    return f"{shown(name)} is {shown(sent)!r} in the URL; {right}"


def _on_method(request: TokenRequest, profile: Profile) -> str:
    """Recognize another method than that of the profile, which is nearly always POST."""
    method, wanted = request.message.method, profile.method
    if method == wanted:
        return ""
    if method.upper() == wanted:
        return f"write {wanted} in upper case: the names of methods have case"
    return f"use {wanted} to request a token, not {method_name(method)}"


def _grant_in_query(request: TokenRequest, profile: Profile) -> str:
    """Recognize a grant_type in the URL."""
    if profile.body == "query" or profile.grant_type is False:
        return ""
    name = profile.parameter_names.grant_type
    if name in request.names_in_query:
        return f"{name} is in the query of the URL; send it in the body"
    return ""


# The media type


def _on_media_type(request: TokenRequest, profile: Profile) -> str:
    """Recognize a missing, repeated, misspelt or other media type."""
    if request.message.method in METHODS_WITHOUT_BODY or profile.body == "query":
        return ""
    wanted = FORM if profile.body == "form" else JSON
    declared = request.message.headers.get_all("Content-Type")
    if profile.allows_empty_body and not request.message.body:
        return ""
    if not declared:
        return _no_media_type(request, wanted)
    if len(declared) > 1:
        return f"there are {len(declared)} Content-Type headers; send one: {wanted}"
    if wanted != FORM:
        return _not_json_type(declared[0], wanted)
    return _wrong_media_type(declared[0], _has_grant(request))


def _not_json_type(declared: str, wanted: str) -> str:
    """Recognize another media type than that of JSON."""
    declared_type = media_type(declared)
    if declared_type == wanted:
        return ""
    name = repr(declared_type) if _PRINTED_VALUE.fullmatch(declared_type) else "something else"
    return f"Content-Type is {name} although the body is JSON: send Content-Type: {wanted}"


def _has_grant(request: TokenRequest) -> bool:
    """Return whether the parameters have a grant_type."""
    return bool(request.values("grant_type"))


def _no_media_type(request: TokenRequest, wanted: str) -> str:
    """Recognize a Content-Type under another name, or none."""
    for name, _ in request.message.headers:
        plain = re.sub(r"[^a-z]", "", name.lower())
        if name.lower() != "content-type" and get_close_matches(plain, ["contenttype"], cutoff=0.8):
            return f"the header is named {shown(name)!r}; its name is Content-Type: send {wanted}"
    return f"Content-Type is missing; send Content-Type: {wanted}"


def _wrong_media_type(declared: str, has_grant: bool) -> str:  # noqa: FBT001 - a fact about the body
    """Recognize what is wrong with a Content-Type; empty for that of a form."""
    declared_type = media_type(declared)
    if declared_type == FORM:
        return ""
    if re.match(r"content-type\s*:", declared, re.IGNORECASE):
        return f"the value of Content-Type repeats the name of the header; send {FORM}"
    if declared_type.strip("\"' ") == FORM:
        return f"there are quotes around the value of Content-Type; send {FORM}"
    if "," in declared and FORM in declared.lower():
        return f"Content-Type has two values; send {FORM} alone"
    if "json" in declared_type and has_grant:
        return f"the body is a form although the header says JSON: send Content-Type: {FORM}"
    name = repr(declared_type) if _PRINTED_VALUE.fullmatch(declared_type) else "something else"
    near = get_close_matches(declared_type, _MEDIA_TYPES, n=1, cutoff=0.75)
    if near == [FORM] or "urlencode" in declared_type or "form-url" in declared_type:
        return f"Content-Type is misspelt, {name}: send Content-Type: {FORM}"
    return f"Content-Type is {name}: send Content-Type: {FORM}"


def _on_compression(request: TokenRequest) -> str:
    """Recognize a compressed body."""
    coding = (request.message.headers.get("Content-Encoding") or "").strip().lower()
    if coding in {"", "identity"}:
        return ""
    return "the body is compressed (Content-Encoding); send it as it is"


# The parameter grant_type


def _on_grant_type(request: TokenRequest, profile: Profile) -> str:
    """Recognize a missing, misspelt, repeated or other grant_type."""
    is_unreadable = request.message.method in METHODS_WITHOUT_BODY and profile.body != "query"
    if is_unreadable or profile.grant_type is False or "grant_type" in request.misnamed:
        return ""
    name, grant = profile.parameter_names.grant_type, grant_in_form(profile)
    place = "query" if profile.body == "query" else "body"
    values = request.values("grant_type")
    if len(values) > 1:
        return f"{name} is in the {place} {len(values)} times; send it once"
    if values and profile.grant_type not in {"client_credentials", values[0]}:
        return f"the value of {name} is {shown(values[0])!r}; this provider has {grant}"
    if values:
        return _wrong_value(values[0], grant)
    if place == "query":
        return f"{name} is missing in the query of the URL; send {grant}"
    if name in request.names_in_query:
        return ""
    if not request.message.body.strip():
        return f"the body is empty; send {grant}"
    return _misspelt_name(request, profile) or f"the body must be {grant}"


def _wrong_value(value: str, grant: str) -> str:
    """Recognize what is wrong with a value for client_credentials; empty if it is right."""
    wanted = "client_credentials"
    if value in {wanted, "refresh_token"}:
        return ""
    plain = without_hidden(as_utf_8(value)).strip()
    if plain == wanted:
        return (
            "there is white space, a line feed or an invisible character in the value of grant_type"
        )
    if plain.strip("\"'`" + TYPOGRAPHIC_QUOTES) == wanted:
        return "there are quotes around the value of grant_type; send client_credentials"
    separated = re.match(r"client_credentials(\r?\n|[;,| ?]|\\n)\s*\w", value)
    if separated:
        name = {"\n": "a line feed", "\r\n": "a line feed", " ": "a blank"}.get(separated[1])
        return f"the parameters are separated by {name or repr(separated[1])}; write & between them"
    if plain.lower() in _OTHER_GRANTS or plain.startswith("urn:"):
        return f"the grant is {shown(plain)!r}; this broker issues tokens for client_credentials"
    if not plain:
        return f"grant_type is empty; send {grant}"
    if placeholder_in(plain):
        return ""  # named with the other placeholders
    if not plain.isascii():
        return "the value of grant_type has characters beyond ASCII, which look like letters"
    compact = re.sub(r"[^a-z]", "", plain.lower())
    if get_close_matches(compact, ["clientcredentials"], cutoff=0.8):
        return f"the value of grant_type is {shown(plain)!r}; it must be client_credentials"
    return "the value of grant_type must be client_credentials"


def _misspelt_name(request: TokenRequest, profile: Profile) -> str:
    """Recognize grant_type under another name."""
    grant = grant_in_form(profile)
    for name, _ in request.parameters:
        plain = re.sub(r"[^a-z]", "", name.lower())
        if not get_close_matches(plain, ["granttype"], cutoff=0.85):
            continue
        if without_hidden(as_utf_8(name)).strip(" \t\r\n?&") == "grant_type":
            return "there is white space, a ? or an invisible character around the name grant_type"
        if name.endswith(("]", "%5D")):
            return "the parameter is named 'grant_type[]', as a list is; its name is grant_type"
        return f"the parameter is named {shown(name)!r}; its name is grant_type"
    if any(value == profile.grant_type for _, value in request.parameters):
        return f"the parameter for {profile.grant_type} has another name; send {grant}"
    if request.message.body.strip() == b"client_credentials":
        return f"the name grant_type is missing; send {grant}"
    return ""


# Everything else


def _on_listed_scope(request: TokenRequest, profile: Profile) -> str:
    """Recognize a scope that is a list of JSON."""
    name = profile.parameter_names.scope
    if profile.body != "json" or not isinstance((request.json or {}).get(name), list):
        return ""
    return (
        f"{name} is a JSON list; send one string, its values joined by "
        f"{separator_in_words(profile)}"
    )


def _on_placeholders(request: TokenRequest, *, is_form: bool) -> str:
    """Recognize placeholders in the URL, in the form, and in header fields."""
    places = {"the URL": unquoted(request.message.target)}
    for name, value in request.body if is_form else ():
        # Those in credentials are named by the method of authentication.
        if name not in {"client_id", "client_secret"}:
            places[f"the parameter {shown(name)}"] = value
            places.setdefault("the body", name)
    places["Content-Type"] = request.message.headers.get("Content-Type") or ""
    found = {place: placeholder_in(value) for place, value in places.items()}
    named = [f"{place} ({placeholder})" for place, placeholder in found.items() if placeholder]
    return f"a placeholder is left in {', '.join(named)}; replace it by the value" if named else ""


def _id_in_body(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize a client_id in the body next to the Authorization header."""
    if not request.authorizations or set(expected.profile.authentication_methods) != {"basic"}:
        return ""
    if not request.values("client_id") or request.values("client_secret"):
        return ""
    return "client_id is in the body as well; the Authorization header has it already"


def _missing_parameters(request: TokenRequest, profile: Profile) -> str:
    """Recognize that a parameter is missing which the profile requires."""
    required = {**profile.parameters, **profile.open_parameters}
    missing = {name: value for name, value in required.items() if not any(request.values(name))}
    if profile.scope_required and not any(request.values("scope")):
        missing[profile.parameter_names.scope] = profile.example_scope
    if not missing or not request.has_form_of(profile):
        return ""
    # The value as well: it is a setting of the provider, and never a secret.
    pairs = ", ".join(f"{name}={shown(value)}" for name, value in missing.items())
    place = "query" if profile.body == "query" else "body"
    return f"profile {profile.name} requires {pairs} in the {place} of the token request"


def _wrong_parameters(request: TokenRequest, profile: Profile) -> Iterator[str]:
    """Recognize required parameters with another value, and those that are there several times."""
    if not request.has_form_of(profile):
        return
    place = "query" if profile.body == "query" else "body"
    for name, wanted in {**profile.parameters, **profile.open_parameters}.items():
        values = tuple(filter(None, request.values(name)))
        if len(values) > 1:
            yield f"{name} is in the {place} {len(values)} times; send it once"
        elif values and name in profile.parameters and values[0] != wanted:
            yield (
                f"the value of {name} is {shown(values[0])!r}; profile {profile.name} requires "
                f"{name}={shown(wanted)}"
            )


def _wrong_headers(request: TokenRequest, profile: Profile) -> Iterator[str]:
    """Recognize required header fields with another value."""
    for name, wanted in profile.required_headers.items():
        value = ", ".join(request.message.headers.get_all(name))
        if value and wanted != "*" and wanted.lower() not in listed_values(value):
            yield (
                f"the header field {name} is {shown(value)!r}; profile {profile.name} requires "
                f"{name}: {shown(wanted)}"
            )


def _missing_headers(request: TokenRequest, profile: Profile) -> str:
    """Recognize that header fields are missing which the profile requires."""
    missing = {
        name: "a value" if wanted == "*" else shown(wanted)
        for name, wanted in profile.required_headers.items()
        if not request.message.headers.get(name)
    }
    if not missing:
        return ""
    fields = ", ".join(f"{name}: {value}" for name, value in missing.items())
    return f"profile {profile.name} requires the header field {fields} in token requests"


def _on_names(request: TokenRequest, profile: Profile) -> Iterator[str]:
    """Recognize parameters by the RFC's names where the profile has its own."""
    for name in ("grant_type", "scope"):
        own = getattr(profile.parameter_names, name)
        if name in request.misnamed:
            yield f"the parameter is named {name}; profile {profile.name} has {own}"
