"""The parts of a profile that are tables of their own in TOML: sources, answer, errors, quotas.

Each is a frozen value, checked in TOML files and in programs by the declared types of its fields.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union

from msgspec import Meta

from mockbroker.model.profile_placeholders import filled_text, placeholders_in_text
from mockbroker.model.profile_rules import date_format_problem, status_problem
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import field_problem

__all__ = [
    "ANSWER_WORDS",
    "API_SITUATIONS",
    "ERROR_WORDS",
    "RFC3339",
    "TOKEN_SITUATIONS",
    "Answer",
    "ErrorForm",
    "NonEmpty",
    "ParameterNames",
    "Quota",
    "Seconds",
    "Source",
]

RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
"""The form of a date by RFC 3339, in UTC and whole seconds."""
ERROR_WORDS = {
    "error": "invalid_request",
    "description": "the request was refused",
    "hint": "",
    "status": "400",
    "path": "/token",
    "method": "POST",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "now": "1767225600",
    "now_ms": "1767225600000",
    "now_rfc3339": "2026-01-01T00:00:00Z",
}
"""The placeholders of an error's body, each with an example."""
ANSWER_WORDS = ("api_url", "origin", "client_id", "scope", "now", "now_ms", "now_rfc3339")
"""The placeholders of further members of a token response."""

NonEmpty = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
Seconds = Annotated[
    float, Meta(ge=0, le=1e12, description="a number of seconds from 0 to 1000000000000")
]
_Names = Annotated[tuple[NonEmpty, ...], Meta(min_length=1, description="a list of names")]
_UrlOrNone = Annotated[
    str,
    Meta(
        pattern=r"\A(?:https?://\S+)?\Z",
        description="a URL that begins with http:// or https://",
    ),
]
# Names of members, joined by dots: the way to a member of a JSON document.
_Path = Annotated[
    str,
    Meta(pattern=r"\A[^.]+(?:\.[^.]+)*\Z", description="names of members, joined by dots"),
]

# A dict cannot be a part of a hash, because it may change. Values that differ still compare
# unequal.

TOKEN_SITUATIONS: dict[str, str] = {
    "invalid_client": "the credentials are missing or wrong",
    "invalid_request": "a parameter, a header or the form of the body is wrong",
    "unsupported_grant_type": "the grant_type is another one",
    "invalid_scope": "the scope is missing or wrong",
    "wrong_path": "the path or the query of the token URL is wrong",
    "wrong_method": "the method of the token request is wrong",
    "quota": "the client has requested too many tokens",
    "token_still_valid": "the client has a valid token, and gets no other",
    "token_error": "any error of the token endpoint that has no form of its own",
}
"""The situations in which a token endpoint answers with an error."""
API_SITUATIONS: dict[str, str] = {
    "token_missing": "the call has no token",
    "token_invalid": "the token is unknown, revoked or malformed",
    "token_expired": "the token has expired",
    "bad_call": "something else is wrong with the call, such as a missing header",
    "forbidden": "the client may not use the endpoint",
    "api_error": "any error of the API that has no form of its own",
}
"""The situations in which an API answers with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The page from which facts of a profile were taken.

    ``fields`` are the profile's fields that the page is the source of, and ``checked`` is the day
    on which it was read. A page that has no public ``url`` has a ``title``. Raises ValueError if a
    value does not fit, or without both.
    """

    fields: _Names
    url: _UrlOrNone = ""
    title: str = ""
    checked: datetime.date
    note: str = ""

    def __post_init__(self) -> None:
        _check(self)
        if not (self.url or self.title):
            raise ValueError("url is missing; a page without a public address needs a title")
        object.__setattr__(self, "fields", tuple(self.fields))

    def __str__(self) -> str:
        return self.url or self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterNames:
    """The names that a provider has for the parameters of RFC 6749, 4.4.2 and 2.3.1.

    Raises ValueError if two of them are the same.
    """

    client_id: NonEmpty = "client_id"
    client_secret: NonEmpty = "client_secret"  # noqa: S105 - a name, not a password
    grant_type: NonEmpty = "grant_type"
    scope: NonEmpty = "scope"

    def __post_init__(self) -> None:
        _check(self)
        names = (self.client_id, self.client_secret, self.grant_type, self.scope)
        if len(set(names)) < len(names):
            raise ValueError(
                f"parameter_names: two parameters have the same name: {', '.join(names)}"
            )

    @property
    def by_rfc_name(self) -> Mapping[str, str]:
        """The provider's names by those of RFC 6749."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The form of a provider's token response, where it differs from RFC 6749, 5.1.

    ``paths`` says where a member stands: ``access_token = "data.token"``, or ``data.0.token``
    within a list. ``omit`` are members that the response lacks. ``lifetime`` is the form of
    ``expires_in``: ``seconds`` or ``milliseconds`` from now, or the moment of expiry as an
    ``rfc3339`` date, or in ``unix`` seconds or ``unix-milliseconds``. ``date_format`` is the form
    of that date in UTC, as `datetime.strftime` has it. ``strings`` are members whose numbers are
    sent as strings. ``scope_list`` sends the scope as a list. ``members`` are further members by
    their paths. In their strings, ``{api_url}``, ``{origin}``, ``{client_id}``, ``{scope}``,
    ``{now}``, ``{now_ms}`` and ``{now_rfc3339}`` are replaced.

    Raises ValueError if a value does not fit.
    """

    status: Annotated[int, Meta(ge=200, le=299, description="a status from 200 to 299")] = 200
    paths: dict[str, _Path] = field(default_factory=dict, hash=False)
    omit: tuple[NonEmpty, ...] = ()
    lifetime: Literal["seconds", "milliseconds", "rfc3339", "unix", "unix-milliseconds"] = "seconds"
    strings: tuple[NonEmpty, ...] = ()
    scope_list: bool = False
    date_format: NonEmpty = RFC3339
    members: dict[str, Union[str, int, float, bool]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check(self)
        problem = next(self._problems(), "")
        if problem:
            raise ValueError(f"answer.{problem}")
        for name in ("omit", "strings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def _problems(self) -> Iterator[str]:
        """Yield what is wrong with fields that each have a valid type."""
        problem = status_problem(self.status)
        if problem:
            yield f"status: {problem}"
        known = ("access_token", "expires_in", "scope", "token_type")
        for table in ("paths", "omit", "strings"):
            for name in getattr(self, table):
                if name not in known:
                    yield f"{table}: unknown member {name!r}{did_you_mean(name, known)}"
        problem = date_format_problem(self.date_format)
        if problem:
            yield f"date_format: {problem}"
        if "access_token" in self.omit:
            yield "omit: no client finds a token without access_token; remove it"
        yield from self._problems_of_members()

    def _problems_of_members(self) -> Iterator[str]:
        """Yield what is wrong with the paths and the placeholders of further members."""
        for path, value in self.members.items():
            if not all(path.split(".")):
                yield f"members: expected names of members, joined by dots, got {path!r}"
            for name in placeholders_in_text(value) if isinstance(value, str) else ():
                if name not in ANSWER_WORDS:
                    near = did_you_mean(name, ANSWER_WORDS)
                    yield f"members.{path}: unknown placeholder {{{name}}}{near}"

    def problem_of_places(self, documented: Iterable[str]) -> str:
        """Return which two members exclude each other by their places; empty if none do.

        ``documented`` are the members of RFC 6749 that the response has.
        """
        own = [(name, self.paths.get(name, name)) for name in documented if name not in self.omit]
        places = [*own, *((path, path) for path in self.members)]
        for (one, path), (other, other_path) in itertools.combinations(places, 2):
            if f"{path}.".startswith(f"{other_path}.") or f"{other_path}.".startswith(f"{path}."):
                table = "members" if other in self.members and other == other_path else "paths"
                return (
                    f"answer.{table}: {other!r} at {other_path!r} and {one!r} at {path!r} exclude "
                    "each other"
                )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorForm:
    """An error response of a provider: its status, its body and its header fields.

    For errors that differ from RFC 6749, 5.2, and RFC 6750, 3.1: codes of the provider's own, other
    members than ``error``, or a status of 200. The body is sent as ``application/json`` unless
    ``headers`` has a Content-Type. In the body, ``{error}``, ``{description}``, ``{hint}``,
    ``{status}``, ``{path}``, ``{method}``, ``{uuid}``, ``{now}``, ``{now_ms}`` and
    ``{now_rfc3339}`` are replaced, escaped as the media type needs it.

    Raises ValueError for any other status, and for an empty body.
    """

    status: Annotated[int, Meta(ge=200, le=599, description="a status from 200 to 599")]
    body: NonEmpty
    headers: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check(self)
        problem = status_problem(self.status)
        if problem:
            raise ValueError(f"errors: status: {problem}")
        for name in placeholders_in_text(self.body):
            if name not in ERROR_WORDS:
                near = did_you_mean(name, ERROR_WORDS)
                raise ValueError(f"errors: unknown placeholder {{{name}}} in a body{near}")

    def fields(self) -> dict[str, str]:
        """Return the header fields of the response, with a Content-Type."""
        named = any(name.lower() == "content-type" for name in self.headers)
        return dict(self.headers) if named else {"Content-Type": "application/json", **self.headers}

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the body with its placeholders replaced, escaped as its media type needs it."""
        content_type = next(v for k, v in self.fields().items() if k.lower() == "content-type")
        return filled_text(self.body, values, _ESCAPES.get(_kind_of(content_type), str))

    def example(self) -> str:
        """Return the body as a client might get it."""
        return self.filled(ERROR_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many tokens a client may request in a period, in seconds of the broker's clock.

    Raises ValueError unless both are positive.
    """

    requests: Annotated[int, Meta(ge=1, le=1_000_000, description="a number from 1 to 1000000")]
    period_seconds: Annotated[
        float, Meta(gt=0, le=1e9, description="a number of seconds above 0, up to 1000000000")
    ]

    def __post_init__(self) -> None:
        _check(self)


def _kind_of(content_type: str) -> str:
    """Return the last part of a media type, which says how its text is escaped."""
    return content_type.partition(";")[0].strip().lower().rpartition("/")[2].rpartition("+")[2]


def _json_escaped(text: str) -> str:
    """Return a string as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_ESCAPES: dict[str, Callable[[str], str]] = {
    "json": _json_escaped,
    "xml": html.escape,
    "html": html.escape,
}


def _check(part: object) -> None:
    """Raise ValueError if a field of a part has an invalid value."""
    problem = field_problem(part)
    if problem:
        raise ValueError(problem)
