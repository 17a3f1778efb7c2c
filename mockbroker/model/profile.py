"""Profiles: the differences between providers of client-credentials tokens, as data.

A profile may also come from a user's TOML file. The constraints of its fields are declared in their
types. `mockbroker.model.typed_reading` applies them to files and to programs, and words the errors.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union, cast

from msgspec import Meta

from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.certificate_rules import CERTIFICATE_METHODS, CertificateRules
from mockbroker.model.metadata import Metadata
from mockbroker.model.typed_reading import field_problem

__all__ = [
    "AUTOGRAB",
    "PROFILES",
    "RFC6749",
    "ErrorForm",
    "Profile",
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
_NonEmpty = Annotated[str, Meta(min_length=1, description="a string that is not empty")]

TokenPolicy = Literal["new", "same", "single"]


_OWN_PARAMETERS = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "grant_type",
        "scope",
    }
)
"""Parameters of a token request that come from elsewhere than `Profile.parameters`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorForm:
    """An error response of a provider's token endpoint: its status and its body.

    For errors that RFC 6749, 5.2 does not describe: codes of the provider's own, other members than
    ``error``, or a status of 200. The body is sent as ``application/json``. Raises ValueError for
    any other status, and for an empty body.
    """

    status: Annotated[int, Meta(ge=200, le=599, description="a status from 200 to 599")]
    body: _NonEmpty

    def __post_init__(self) -> None:
        problem = field_problem(self)
        if problem:
            raise ValueError(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The conventions of a provider's token endpoint and API.

    ``token_path_aliases`` are other paths of the token endpoint, without the server's prefix.
    ``token_query`` is the query that the token URL has, without the question mark.
    ``expires_in`` is in seconds. ``scope`` and ``token_type`` are members of the token response;
    a scope of False omits the member. ``scope_separator`` joins several scopes in a token request.
    ``client_authentication`` names the method that the broker
    accepts, or several. The methods are ``basic`` and ``post`` (client_id and client_secret in the
    body, RFC 6749, 2.3.1), and ``private_key_jwt`` (a signed assertion, RFC 7523), for which
    ``assertion`` has the rules; also ``tls_client_auth`` and ``self_signed_tls_client_auth`` (a
    certificate, RFC 8705), for which ``certificate`` has them. ``basic_encoding`` is ``raw`` (Basic
    encodes id and secret as they are) or ``form`` (each is form-urlencoded first, same section).

    ``parameters`` are further parameters that every token request must have, with their values,
    such as an audience.

    ``token_policy`` is what a client gets that has a valid token already: a ``new`` token beside
    it, the ``same`` token with what is left of its lifetime, or a ``single`` one, which ends the
    old token.

    ``token_format`` is ``opaque`` characters, or a ``jwt`` that is signed by RS256; its key is
    published. ``metadata`` are the documents by which clients find the endpoints, None for none.
    The broker's own API looks up all tokens by their values.

    ``api_prefix`` is the path below which the API lies.
    ``error_forms`` are error responses of the provider's own, which a client must recognise.
    ``sources`` are the pages that these facts come from, each a title or an address; reports name
    them.

    Raises ValueError if a value does not fit; the message names the field and what was expected.
    """

    name: str
    token_path: _TokenPath = "/auth-broker/request-token"  # noqa: S105 - a path, not a password
    token_path_aliases: tuple[_TokenPath, ...] = ()
    token_query: _Query = ""
    client_authentication: Union[str, _Names] = "basic"
    basic_encoding: Literal["raw", "form"] = "raw"
    expires_in: _LifetimeSeconds = 3599
    # True is not a scope: msgspec before 0.22 does not know Literal[False].
    scope: Annotated[Union[str, bool], Meta(description="a string or false")] = ""
    scope_separator: _NonEmpty = " "
    token_type: _NonEmpty = "bearer"  # noqa: S105 - a type, not a password
    token_format: Literal["opaque", "jwt"] = "opaque"  # noqa: S105 - a format, not a password
    token_policy: TokenPolicy = "new"  # noqa: S105 - a policy, not a password
    api_prefix: _UrlPath = "/v2"
    # Left out of the hash, because a dict has none; profiles that differ still compare unequal.
    parameters: dict[str, _NonEmpty] = field(default_factory=dict, hash=False)
    error_forms: tuple[ErrorForm, ...] = ()
    sources: tuple[_NonEmpty, ...] = ()
    assertion: AssertionRules = field(default_factory=AssertionRules)
    certificate: CertificateRules = field(default_factory=CertificateRules)
    metadata: Union[Metadata, None] = None

    def __post_init__(self) -> None:
        problem = field_problem(self)
        if problem:
            raise ValueError(problem)
        if self.scope is True:
            raise ValueError("scope: expected a string or false, got true")
        for name in self.parameters:
            if name in _OWN_PARAMETERS:
                raise ValueError(f"parameters: {name!r} is not a further parameter; remove it")
        # A program may pass lists; a profile is a value that can be hashed and never changes.
        for name in ("token_path_aliases", "client_authentication", "error_forms", "sources"):
            if not isinstance(getattr(self, name), (str, tuple)):
                object.__setattr__(self, name, tuple(getattr(self, name)))

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


def lifetime_problem(value: object) -> str:
    """Return what is wrong with a lifetime in seconds; empty if it is valid.

    The settings of a broker and the command line share it, so that they accept the same values.
    """
    # In Python True is an int; as a lifetime of one second it would be a mistake.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= cast("float", value) <= sys.float_info.max:
        return ""
    return f"expires_in must be a finite number of seconds, 0 or more, not {value!r}"


# The vendor documents both paths: /auth-broker/request-token is the one in production.
AUTOGRAB = Profile(
    name="autograb",
    token_path_aliases=("/request-token",),
    sources=("AutoGrab developer pages, “OAuth Authentication”",),
)
# RFC 6749, 2.3.1: client_id and secret are form-urlencoded before Basic encodes them. Many
# providers leave that out, so it is a difference between profiles.
RFC6749 = Profile(
    name="rfc6749",
    token_path="/token",  # noqa: S106 - a path, not a password
    basic_encoding="form",
    expires_in=3600,
    sources=("https://www.rfc-editor.org/rfc/rfc6749",),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (AUTOGRAB, RFC6749)}
"""The profiles that ship, by name."""
