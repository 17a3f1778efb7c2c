"""What a profile means, in sentences, each with the fields that it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mockbroker.broker.answer_form import AnswerForm, moment_words
from mockbroker.contract.authentication import PrivateKeyJwt, accepted_methods
from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.profile import Profile
from mockbroker.model.profile_parts import API_SITUATIONS, TOKEN_SITUATIONS
from mockbroker.model.profile_placeholders import placeholders_in

__all__ = ["Fact", "facts_of", "in_words"]

_NOON = 1767268800
"""The moment in the examples, in Unix seconds: noon of 2026-01-01."""
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SEPARATORS = {" ": "a space", ",": "a comma", "+": "a plus sign"}
_BODIES = {
    "form": "The parameters are in the body, form-encoded.",
    "json": "The parameters are members of a JSON object in the body.",
    "query": "The parameters are in the query of the URL.",
}
_ENCODINGS = {
    "raw": "as they are",
    "form": "each form-encoded first",
    "base64": "each encoded to Base64 first",
}
_AUDIENCES = {"token_endpoint": "the URL of the token endpoint", "issuer": "the issuer's URL"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence on a profile, its chapter, and the fields that it comes from."""

    chapter: str
    fields: tuple[str, ...]
    text: str


def in_words(seconds: float) -> str:
    """Return a duration in the largest unit that fits: ``2 hours``, ``90 seconds``."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds:g} seconds"


def facts_of(profile: Profile) -> tuple[Fact, ...]:
    """Return what a profile says, in the order of a request, its answer and the API."""
    chapters = {
        "Token request": (*_request(profile), *_authentication(profile)),
        "Token response": (*_response(profile), *_issuance(profile)),
        "API": tuple(_api(profile)),
        "Errors": tuple(_errors(profile)),
    }
    return tuple(
        Fact(chapter, tuple(fields.split()), text)
        for chapter, facts in chapters.items()
        for fields, text in facts
    )


def _request(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on the token request, but for the credentials."""
    yield "method token_path token_query", f"{profile.method} to {_url_path(profile)}."
    if profile.token_path_aliases:
        aliases = ", ".join(profile.token_path_aliases)
        yield "token_path_aliases", f"The same endpoint is at {aliases}."
    placeholders = placeholders_in(profile.token_path)
    if placeholders:
        names = ", ".join(f"{{{name}}}" for name in placeholders)
        own = f"The broker's own URL has {profile.own_token_path}."
        yield "token_path path_values", f"Any value stands for {names}. {own}"
    yield "body", _BODIES[profile.body]
    for rfc_name, name in profile.parameter_names.by_rfc_name.items():
        if name != rfc_name:
            yield "parameter_names", f"The parameter {rfc_name} is called {name}."
    yield "grant_type", _grant(profile)
    for name, value in profile.parameters.items():
        yield f"parameters.{name}", f"The parameter {name} must be {value!r}."
    for name, value in profile.open_parameters.items():
        yield f"open_parameters.{name}", f"The parameter {name} is required, such as {value!r}."
    if profile.optional_parameters:
        yield "optional_parameters", f"Optional: {', '.join(profile.optional_parameters)}."
    for name, value in profile.required_headers.items():
        yield "required_headers", f"The header field {name} is required{_of_value(value)}."
    joint = _SEPARATORS.get(profile.scope_separator, repr(profile.scope_separator))
    if profile.scope_required:
        wanted = f"A scope is required, such as {profile.example_scope!r}"
        yield (
            "scope_required example_scope scope_separator",
            f"{wanted}; several are joined by {joint}.",
        )
    else:
        yield "scope_required scope_separator", f"A scope is optional; {joint} joins several."


def _url_path(profile: Profile) -> str:
    """Return the path of the token URL with its query."""
    return profile.token_path + (f"?{profile.token_query}" if profile.token_query else "")


def _grant(profile: Profile) -> str:
    """Return the sentence on the grant type."""
    if not profile.grant_type:
        return "A token request has no grant_type."
    return f"The grant_type is {profile.grant_type}."


def _of_value(value: str) -> str:
    """Return the value that a header field must have, as the end of a sentence."""
    return ", with any value" if value == "*" else f", with the value {value!r}"


def _authentication(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on the client authentication."""
    methods = accepted_methods(profile)
    names = " or ".join(f"{method.name} ({method.place})" for method in methods)
    yield "client_authentication", f"The client authenticates by {names}."
    if "basic" in profile.authentication_methods:
        if profile.basic_scheme != "Basic":
            yield "basic_scheme", f"The scheme is called {profile.basic_scheme}."
        how = _ENCODINGS[profile.basic_encoding]
        yield "basic_encoding", f"Basic is the Base64 of client_id:client_secret, {how}."
    if PrivateKeyJwt.name in profile.authentication_methods:
        yield "assertion", _assertion(profile.assertion)


def _assertion(rules: AssertionRules) -> str:
    """Return the sentences on signed assertions."""
    algorithms, life = " or ".join(rules.algorithms), in_words(rules.longest_life_seconds)
    jti = "required" if rules.jti_required else "optional, but not used twice"
    return (
        f"An assertion is signed by {algorithms}, lives for at most {life}, and has "
        f"{_AUDIENCES[rules.audience]} as aud. Its jti is {jti}."
    )


def _response(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on the token response and the token."""
    yield (
        "answer scope token_type",
        f"Status {profile.answer.status}, such as {example_answer(profile)}",
    )
    is_left_out = "expires_in" in profile.answer.omit
    said = "the response does not say so" if is_left_out else _LIFETIMES[profile.answer.lifetime]
    yield "expires_in answer", f"A token is valid for {in_words(profile.expires_in)}; {said}."
    if profile.token_format == "jwt":  # noqa: S105 - a format, not a password
        yield "token_format", "A token is a JWT that is signed by RS256."
    if profile.token_shape:
        shape = f"A token has the shape {profile.token_shape}"
        yield "token_shape", f"{shape}; a number in braces stands for so many random characters."
    if profile.metadata is not None:
        names = " and ".join(profile.metadata.documents)
        issuer = profile.metadata.issuer_path or "the origin"
        yield "metadata", f"Clients find the endpoints by {names}; the issuer is at {issuer}."


_LIFETIMES: Mapping[str, str] = {
    "seconds": "the response has the seconds that are left",
    "milliseconds": "the response has the milliseconds that are left",
    "rfc3339": "the response has the date of expiry",
    "unix": "the response has the moment of expiry in Unix seconds",
    "unix-milliseconds": "the response has the moment of expiry in Unix milliseconds",
}


def example_answer(profile: Profile) -> str:
    """Return the body of a token response as JSON, with an example of each value."""
    words = {
        **moment_words(_NOON),
        "api_url": f"https://api.example{profile.api_prefix}",
        "origin": "https://api.example",
        "client_id": "my-client",
        "scope": profile.issued_scope or profile.example_scope,
    }
    documented: dict[str, object] = {
        "access_token": "TOKEN",
        "expires_in": _whole(profile.expires_in),
        "token_type": profile.token_type,
    }
    if profile.scope is not False:
        documented["scope"] = words["scope"]
    return json.dumps(AnswerForm(profile.answer, words, _NOON).members(documented))


def _whole(number: float) -> float:
    """Return an integer for a number without a fraction, as JSON shows it."""
    return int(number) if number == int(number) else number


def _issuance(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on what a client gets that has a token already."""
    renewal = (
        f" In the last {in_words(profile.renewal_seconds)} it gets another one."
        if profile.renewal_seconds
        else ""
    )
    first = "the first expires_in" if profile.repeats_expires_in else "what is left of its lifetime"
    overlap = (
        f" {in_words(profile.overlap_seconds)} later" if profile.overlap_seconds else " at once"
    )
    sentences = {
        "new": "A client with a valid token gets another one beside it.",
        "same": f"A client with a valid token gets the same one again, with {first}.{renewal}",
        "single": f"A client with a valid token gets another one, and the old one ends{overlap}.",
        "refuse": f"A client with a valid token gets an error.{renewal}",
    }
    yield (
        "token_policy renewal_seconds repeats_expires_in overlap_seconds",
        sentences[profile.token_policy],
    )
    for quota in profile.quotas:
        period = in_words(quota.period_seconds)
        many = "request" if quota.requests == 1 else "requests"
        yield "quotas", f"More than {quota.requests} token {many} in {period} get an error."


def _api(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on calls to the API."""
    word = f"{profile.api_scheme} " if profile.api_scheme else ""
    carrier = f"{profile.api_header}: {word}TOKEN"
    if profile.api_query:
        carrier = f"?{profile.api_query}=TOKEN in its URL"
    yield (
        "api_prefix api_header api_scheme api_query",
        f"Below {profile.api_prefix}, each call has {carrier}.",
    )
    for name, value in profile.api_required_headers.items():
        yield "api_required_headers", f"The header field {name} is required{_of_value(value)}."


def _errors(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the fields and the sentences on errors that the provider has in its own form."""
    situations = {**TOKEN_SITUATIONS, **API_SITUATIONS}
    for name, form in profile.errors.items():
        # A body of several lines is one line here.
        body = " ".join(form.body.split())
        # The last situation of each table is not one of its own.
        word = "For" if name in {"token_error", "api_error"} else "If"
        yield f"errors.{name}", f"{word} {situations[name]}: status {form.status}, {body}"
    if not profile.errors:
        yield "", "Errors have the form of RFC 6749, 5.2, and RFC 6750, 3."
