"""Profiles: the differences between providers of client-credentials tokens, as data.

A profile may also come from a user's TOML file. The constraints of its fields are declared in their
types. `mockbroker.model.typed_reading` applies them to files and to programs, and words the errors.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Union, cast

from msgspec import Meta

from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.authorization import BasicEncoding
from mockbroker.model.certificate_rules import CERTIFICATE_METHODS, CertificateRules
from mockbroker.model.metadata import Metadata
from mockbroker.model.profile_parts import (
    API_SITUATIONS,
    TOKEN_SITUATIONS,
    Answer,
    ErrorForm,
    NonEmpty,
    ParameterNames,
    Quota,
    Seconds,
    Source,
)
from mockbroker.model.profile_placeholders import (
    filled,
    matches,
    placeholder_problem,
    placeholders_in,
)
from mockbroker.model.profile_rules import (
    TOKEN,
    header_name_problem,
    path_problem,
    renewal_problems,
    required_header_problem,
    token_shape_problem,
)
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import field_problem

__all__ = [
    "AUTOGRAB",
    "PROFILES",
    "RFC6749",
    "Answer",
    "ErrorForm",
    "ParameterNames",
    "Profile",
    "Quota",
    "Source",
    "TokenPolicy",
    "lifetime_problem",
]


# Unlike the API's prefix, it may end with a slash: nothing is appended to it.
_TokenPath = Annotated[
    str, Meta(pattern=r"\A/(?s:.*)\Z", description="a path that begins with a slash")
]
# RFC 3986, 3.4: a query has no "#".
_Query = Annotated[
    str, Meta(pattern=r"\A[^?#\s][^#\s]*\Z|\A\Z", description="a query without its question mark")
]
# A slash at the end would double when a path of the API is appended.
_UrlPath = Annotated[
    str,
    Meta(
        pattern=r"\A/(?s:.*)[^/]\Z",
        description="a path that begins with a slash and does not end with one",
    ),
]
# Finite, because JSON has no infinity (RFC 8259, 6).
_LifetimeSeconds = Annotated[
    float,
    Meta(ge=0, le=sys.float_info.max, description="a finite number of seconds, 0 or more"),
]
_Names = Annotated[tuple[str, ...], Meta(min_length=1, description="a list that is not empty")]
_HeaderName = Annotated[
    str, Meta(pattern=rf"\A{TOKEN}\Z", description="the name of a header field")
]
_METHODS_OUTSIDE_BODY = frozenset({"basic", "query", "header"})
"""The client authentication methods that put nothing into the body."""
_Scheme = Annotated[str, Meta(pattern=rf"\A{TOKEN}\Z", description="the name of a scheme")]
_SchemeOrNone = Annotated[
    str, Meta(pattern=rf"\A(?:{TOKEN})?\Z", description="the name of a scheme, or an empty string")
]

TokenPolicy = Literal["new", "same", "single", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The conventions of a provider's token endpoint and API.

    docs/profiles.md describes every field. In short:

    ``extends`` is the name of the profile that a file takes the other values from; in a program
    `dataclasses.replace` does that. ``title`` names the provider, and ``sources`` are the pages
    that its facts come from. ``unconfirmed`` are facts that are left out: no page confirms them.

    ``token_path`` and ``token_path_aliases`` are the paths of the token endpoint, without the
    server's prefix; a placeholder such as ``{tenant}`` accepts any value, and ``path_values`` has
    the one that the broker's own token URL has. ``token_query`` is the query that the token URL
    has, without the question mark.

    A token request has the ``method``, and its parameters in the ``body``: as a ``form``, as
    ``json``, or in the URL (``query``). ``parameter_names`` are the provider's own names.
    ``grant_type`` is False if there is none. ``parameters`` have fixed values, such as an audience.
    ``open_parameters`` may have any value; theirs is an example. ``optional_parameters`` may be
    there. ``required_headers`` are header fields and their values; ``*`` is any value.
    With ``scope_required`` each token request must have a scope; ``example_scope`` is one.
    ``scope_separator`` joins several.

    ``client_authentication`` names the method that the broker accepts, or several. The methods are
    ``basic``, ``post`` (client_id and client_secret in the body, RFC 6749, 2.3.1), ``query`` (both
    in the URL), ``header`` (both in header fields), ``private_key_jwt`` (a signed assertion, RFC
    7523), for which ``assertion`` has the rules, ``tls_client_auth`` and
    ``self_signed_tls_client_auth`` (a certificate, RFC 8705), for which ``certificate`` has them,
    and ``none`` (a client_id alone). ``basic_encoding`` is ``raw`` (Basic encodes id and secret as
    they are), ``form`` (each is form-urlencoded first, same section) or ``base64`` (each is encoded
    to Base64 first). ``basic_scheme`` is the word before them.

    ``expires_in`` is in seconds. ``scope`` and ``token_type`` are members of the token response;
    a scope of False omits the member. ``answer`` has the other forms of the response.

    ``token_policy`` is what a client gets that has a valid token already: a ``new`` token beside
    it, the ``same`` token with what is left of its lifetime, a ``single`` one, which ends the
    old token, or an error (``refuse``). In the last ``renewal_seconds`` of a token, ``same`` and
    ``refuse`` issue a new one. ``repeats_expires_in`` makes ``same`` repeat the first expires_in.
    ``overlap_seconds`` is how long an old token lives on under ``single``. ``quotas`` limit how
    many tokens a client may request.

    ``token_shape`` is what an opaque token looks like: in ``acme_{32}``, 32 random characters stand
    for the number in braces. ``token_format`` is ``opaque`` characters, or a ``jwt`` that is signed
    by RS256; its key is published. ``metadata`` are the documents by which clients find the
    endpoints, None for none. The broker's own API looks up all tokens by their values.

    ``api_prefix`` is the path below which the API lies. A call carries its token in ``api_header``
    after the word ``api_scheme``, or in the parameter ``api_query`` of its URL, and
    ``api_required_headers`` besides. ``errors`` are error
    responses of the provider's own, by situation, which a client must recognise.

    Raises ValueError if a value does not fit; the message names the field and what was expected.
    """

    name: str
    extends: str = ""
    title: str = ""
    sources: tuple[Source, ...] = ()
    token_path: _TokenPath = "/auth-broker/request-token"  # noqa: S105 - a path, not a password
    token_path_aliases: tuple[_TokenPath, ...] = ()
    path_values: dict[str, NonEmpty] = field(default_factory=dict)
    token_query: _Query = ""
    method: Literal["POST", "GET"] = "POST"
    body: Literal["form", "json", "query"] = "form"
    parameter_names: ParameterNames = field(default_factory=ParameterNames)
    # True is not a value: msgspec before 0.22 does not know Literal[False].
    grant_type: Annotated[Union[str, bool], Meta(description="a string or false")] = (
        "client_credentials"
    )
    parameters: dict[str, NonEmpty] = field(default_factory=dict)
    open_parameters: dict[str, NonEmpty] = field(default_factory=dict)
    optional_parameters: tuple[NonEmpty, ...] = ()
    required_headers: dict[str, NonEmpty] = field(default_factory=dict)
    client_authentication: Union[str, _Names] = "basic"
    basic_encoding: BasicEncoding = "raw"
    basic_scheme: _Scheme = "Basic"
    scope_required: bool = False
    example_scope: str = ""
    scope_separator: NonEmpty = " "
    expires_in: _LifetimeSeconds = 3599
    scope: Annotated[Union[str, bool], Meta(description="a string or false")] = ""
    token_type: NonEmpty = "bearer"  # noqa: S105 - a type, not a password
    answer: Answer = field(default_factory=Answer)
    token_format: Literal["opaque", "jwt"] = "opaque"  # noqa: S105 - a format, not a password
    token_shape: str = ""
    token_policy: TokenPolicy = "new"  # noqa: S105 - a policy, not a password
    renewal_seconds: Seconds = 0
    overlap_seconds: Seconds = 0
    repeats_expires_in: bool = False
    quotas: tuple[Quota, ...] = ()
    api_prefix: _UrlPath = "/v2"
    api_header: _HeaderName = "Authorization"
    api_scheme: _SchemeOrNone = "Bearer"
    api_query: str = ""
    api_required_headers: dict[str, NonEmpty] = field(default_factory=dict)
    errors: dict[str, ErrorForm] = field(default_factory=dict)
    assertion: AssertionRules = field(default_factory=AssertionRules)
    certificate: CertificateRules = field(default_factory=CertificateRules)
    metadata: Union[Metadata, None] = None
    unconfirmed: tuple[NonEmpty, ...] = ()

    def __post_init__(self) -> None:
        problem = field_problem(self) or next(_problems(self), "")
        if problem:
            raise ValueError(problem)
        # A program may pass lists; a profile is a value that can be hashed and never changes.
        for each in fields(self):
            if isinstance(getattr(self, each.name), list):
                object.__setattr__(self, each.name, tuple(getattr(self, each.name)))

    # Dicts have no hash, and a hash of forty fields would be computed for each request, since
    # several caches have the profile as their key. Profiles that differ still compare unequal.
    def __hash__(self) -> int:
        return hash((self.name, self.token_path, self.body, self.authentication_methods))

    @property
    def authentication_methods(self) -> tuple[str, ...]:
        """The names of the client authentication methods that the broker accepts."""
        names = self.client_authentication
        return (names,) if isinstance(names, str) else names

    @property
    def certificate_method(self) -> str:
        """The first method that needs a certificate; empty if no method does."""
        names = (name for name in self.authentication_methods if name in CERTIFICATE_METHODS)
        return next(names, "")

    @property
    def issued_scope(self) -> str:
        """The scope of issued tokens if the test sets none."""
        return self.scope if isinstance(self.scope, str) else ""

    @property
    def own_token_path(self) -> str:
        """The path of the broker's own token URL: the token path with its placeholders filled."""
        return filled(self.token_path, self.path_values)

    @property
    def token_paths(self) -> tuple[str, ...]:
        """The paths of the token endpoint, with their placeholders."""
        return (self.token_path, *self.token_path_aliases)

    @property
    def example_parameters(self) -> dict[str, str]:
        """The parameters of a right token request by the provider's names, without credentials."""
        grant = {self.parameter_names.grant_type: str(self.grant_type)} if self.grant_type else {}
        scope = {self.parameter_names.scope: self.example_scope} if self.scope_required else {}
        return {**grant, **scope, **self.parameters, **self.open_parameters}

    @property
    def allows_empty_body(self) -> bool:
        """Whether a right token request may have no parameters in its body, and so no body."""
        methods = _METHODS_OUTSIDE_BODY.issuperset(self.authentication_methods)
        return self.body == "query" or (methods and not self.example_parameters)

    @property
    def further_parameters(self) -> frozenset[str]:
        """The names of parameters that a token request must or may have beyond RFC 6749's."""
        return frozenset({*self.parameters, *self.open_parameters, *self.optional_parameters})

    def has_token_path(self, path: str) -> bool:
        """Return whether a raw path is one of the token endpoint, with any placeholders."""
        # The broker's own path first: nearly every request has it.
        return path == self.token_path or any(matches(each, path) for each in self.token_paths)

    @property
    def token_errors(self) -> tuple[ErrorForm, ...]:
        """The errors of the token endpoint that have a form of the provider's own."""
        return tuple(form for name, form in self.errors.items() if name in TOKEN_SITUATIONS)

    def error_form(self, situation: str) -> ErrorForm | None:
        """Return the provider's form of an error in a situation; None if it has none."""
        usual = "token_error" if situation in TOKEN_SITUATIONS else "api_error"
        return self.errors.get(situation) or self.errors.get(usual)

    @property
    def source_names(self) -> tuple[str, ...]:
        """The addresses or titles of the pages that its facts come from, each once."""
        return tuple(dict.fromkeys(str(source) for source in self.sources))

    def sources_of(self, name: str) -> tuple[Source, ...]:
        """Return the pages that are the source of a field, or of a member of it."""
        return tuple(s for s in self.sources if any(_is_within(each, name) for each in s.fields))


def _is_within(named: str, field_name: str) -> bool:
    """Return whether a name of a source, such as ``answer.paths``, belongs to a field."""
    return named.partition(".")[0] == field_name


def _problems(profile: Profile) -> Iterator[str]:
    """Yield what is wrong with a profile whose fields each have a valid type."""
    for name in ("scope", "grant_type"):
        if getattr(profile, name) is True:
            yield f"{name}: expected a string or false, got true"
    if profile.grant_type == "":
        yield "grant_type: expected a string that is not empty, or false, got ''"
    if problem := token_shape_problem(profile.token_shape, profile.token_format):
        yield f"token_shape: {problem}"
    yield from _problems_of_paths(profile)
    yield from renewal_problems(
        profile.token_policy,
        renewal_seconds=profile.renewal_seconds,
        overlap_seconds=profile.overlap_seconds,
        expires_in=profile.expires_in,
    )
    scope = ("scope",) if profile.scope is not False else ()
    problem = profile.answer.problem_of_places(("access_token", "expires_in", "token_type", *scope))
    if problem:
        yield problem
    yield from _problems_of_parameters(profile)
    yield from _problems_of_headers(profile)
    yield from _problems_of_names(profile)


def _problems_of_paths(profile: Profile) -> Iterator[str]:
    """Yield what is wrong with the paths and their placeholders."""
    named = {"token_path": (profile.token_path,), "token_path_aliases": profile.token_path_aliases}
    for name, paths in named.items():
        yield from (f"{name}: {p}" for p in map(placeholder_problem, paths) if p)
        for path in paths:
            problem = path_problem(path)
            advice = "; write the query as token_query" if "?" in path else ""
            if problem:
                yield f"{name}: {problem}{advice}"
    problem = path_problem(profile.own_token_path)
    if problem:
        yield f"path_values: {problem}"
    problem = path_problem(profile.api_prefix)
    if problem:
        yield f"api_prefix: {problem}"
    known = placeholders_in(profile.token_path)
    for name in profile.path_values:
        if name not in known:
            yield f"path_values: token_path has no placeholder {{{name}}}"


def _problems_of_headers(profile: Profile) -> Iterator[str]:
    """Yield which header fields a request cannot have, or not for the profile's purpose."""
    own_fields = {
        "required_headers": {
            "authorization": "client_authentication",
            "content-type": "body",
            **dict.fromkeys(_credential_fields(profile), "client_authentication"),
        },
        "api_required_headers": {}
        if profile.api_query
        else {profile.api_header.lower(): "api_header"},
    }
    problem = required_header_problem(profile.api_header, {})
    if problem:
        yield f"api_header: {problem}"
    for table, own in own_fields.items():
        for name in getattr(profile, table):
            problem = required_header_problem(name, own)
            if problem:
                yield f"{table}: {problem}"
    names = profile.parameter_names
    if "header" in profile.authentication_methods:
        problems = filter(None, map(header_name_problem, (names.client_id, names.client_secret)))
        yield from (
            f"parameter_names: {problem}; client_authentication = 'header' needs that"
            for problem in problems
        )


def _problems_of_names(profile: Profile) -> Iterator[str]:
    """Yield which names of methods, situations and sourced fields are invalid."""
    methods = profile.authentication_methods
    for index, method in enumerate(methods):
        if method in methods[:index]:
            yield f"client_authentication: {method!r} is there twice; remove one"
    situations = {**TOKEN_SITUATIONS, **API_SITUATIONS}
    for name in profile.errors:
        if name not in situations:
            yield f"errors: unknown situation {name!r}{did_you_mean(name, situations)}"
    known_fields = [each.name for each in fields(cast("Any", profile))]
    for source in profile.sources:
        for named in source.fields:
            if not any(_is_within(named, name) for name in known_fields):
                yield f"sources: unknown field {named!r}{did_you_mean(named, known_fields)}"


def _credential_fields(profile: Profile) -> tuple[str, ...]:
    """Return the header fields that have the credentials, in lower case; none for other methods."""
    if "header" not in profile.authentication_methods:
        return ()
    names = profile.parameter_names
    return names.client_id.lower(), names.client_secret.lower()


def _problems_of_parameters(profile: Profile) -> Iterator[str]:
    """Yield what is wrong with the parameters of a profile, one with the other."""
    names = profile.parameter_names
    own = {*names.by_rfc_name.values(), "client_assertion", "client_assertion_type"}
    seen: dict[str, str] = {}
    for table in ("parameters", "open_parameters", "optional_parameters"):
        for name in getattr(profile, table):
            if name in own:
                yield f"{table}: {name!r} is not a further parameter; remove it"
            if name in seen:
                yield f"{table}: {name!r} is in {seen[name]} as well; remove it"
            seen[name] = table
    if profile.method == "GET" and profile.body != "query":
        yield f"body: a GET request has its parameters in the query, but body is {profile.body!r}"
    if profile.body == "query" and "post" in profile.authentication_methods:
        yield (
            "client_authentication: 'post' is in the body, but body = 'query' leaves that empty; "
            "write 'query'"
        )
    if profile.scope_required and not profile.example_scope:
        yield "example_scope is missing; scope_required needs it, for examples and test cases"


def lifetime_problem(value: object) -> str:
    """Return what is wrong with a lifetime in seconds; empty if it is valid.

    The settings of a broker and the command line share it, so that they accept the same values.
    """
    # In Python True is an int; as a lifetime of one second it would be a mistake.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= cast("float", value) <= sys.float_info.max:
        return ""
    return f"expires_in must be a finite number of seconds, 0 or more, not {value!r}"


_CHECKED = datetime.date(2026, 11, 23)
_DOCUMENTED = (
    "token_path",
    "client_authentication",
    "basic_encoding",
    "grant_type",
    "body",
    "expires_in",
    "scope",
    "token_type",
    "answer",
    "api_scheme",
)
"""What both of the profiles below take from their page."""
# The vendor documents both paths: /auth-broker/request-token is the one in production.
AUTOGRAB = Profile(
    name="autograb",
    token_path_aliases=("/request-token",),
    sources=(
        Source(
            fields=_DOCUMENTED,
            title="AutoGrab developer pages, “OAuth Authentication”",
            checked=_CHECKED,
        ),
    ),
)
# RFC 6749, 2.3.1: client_id and secret are form-urlencoded before Basic encodes them. Many
# providers leave that out, so it is a difference between profiles.
RFC6749 = Profile(
    name="rfc6749",
    token_path="/token",  # noqa: S106 - a path, not a password
    basic_encoding="form",
    expires_in=3600,
    sources=(
        Source(fields=_DOCUMENTED, url="https://www.rfc-editor.org/rfc/rfc6749", checked=_CHECKED),
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (AUTOGRAB, RFC6749)}
"""The profiles that are always at hand, by name. The others that ship are read when needed."""
