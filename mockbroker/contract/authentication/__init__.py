"""Client authentication methods, and which of them a profile accepts.

To add a method, write a subclass of `AuthenticationMethod` with its chapter of clauses, and add it
to `METHODS`.
"""

from __future__ import annotations

from functools import lru_cache

from mockbroker.contract.authentication.assertion import PrivateKeyJwt
from mockbroker.contract.authentication.basic import Basic, BasicBase64, BasicForm, BasicRaw
from mockbroker.contract.authentication.body import Body, HeaderFields, PublicClient, Query
from mockbroker.contract.authentication.certificate import (
    ClientCertificateMethod,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
)
from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest
from mockbroker.model.type_words import did_you_mean

__all__ = [
    "METHODS",
    "AuthenticationMethod",
    "Basic",
    "Body",
    "ClientCertificateMethod",
    "HeaderFields",
    "PrivateKeyJwt",
    "PublicClient",
    "Query",
    "accepted_methods",
    "method_in",
    "recognise",
    "takes_secret",
    "unknown_method",
    "where_profile_authenticates",
]

METHODS: tuple[AuthenticationMethod, ...] = (
    BasicRaw(),
    BasicForm(),
    BasicBase64(),
    Body(),
    Query(),
    HeaderFields(),
    PublicClient(),
    PrivateKeyJwt(),
    TlsClientAuth(),
    SelfSignedTlsClientAuth(),
)
"""Every method, in the variants that profiles distinguish."""

# The names that pages of providers have: RFC 7591, 2.
_BY_REGISTERED_NAME = {"client_secret_basic": "basic", "client_secret_post": "post"}


def unknown_method(profile: Profile) -> str:
    """Return which method of the profile is unknown, with the known ones; empty if none is."""
    known = tuple(dict.fromkeys(method.name for method in METHODS))
    for name in profile.authentication_methods:
        if name not in known:
            near = did_you_mean(_BY_REGISTERED_NAME.get(name, name), known)
            return f"client_authentication: unknown method {name!r}{near}"
    return ""


# Judges and hints ask several times for each request. A process serves a few profiles.
@lru_cache(maxsize=64)
def accepted_methods(profile: Profile) -> tuple[AuthenticationMethod, ...]:
    """Return the methods that a broker of that profile accepts, in the profile's order.

    A method may have several variants, such as the two of Basic; the profile accepts one of them.
    """
    return tuple(
        method.for_profile(profile)
        for name in profile.authentication_methods
        for method in METHODS
        if method.name == name and method.is_accepted_by(profile)
    )


def method_in(request: TokenRequest, profile: Profile) -> AuthenticationMethod:
    """Return the accepted method by which a request is judged.

    It is the first that the request tries to use. A request that uses none is judged by the first
    that the profile names. So each request is judged by the clauses of one method only.
    """
    methods = accepted_methods(profile)
    # There is at least one: a profile names a method, and a broker accepts known methods only.
    if len(methods) == 1:
        return methods[0]  # most profiles name one, and the judges ask several times
    return next((method for method in methods if method.is_used_in(request)), methods[0])


def takes_secret(profile: Profile) -> bool:
    """Return whether a profile accepts a method that has a client_secret."""
    without = (PrivateKeyJwt, ClientCertificateMethod)
    return not all(isinstance(method, without) for method in accepted_methods(profile))


def where_profile_authenticates(profile: Profile) -> str:
    """Return where clients of a profile put their credentials, in words."""
    return " or ".join(dict.fromkeys(method.place for method in accepted_methods(profile)))


def recognise(request: TokenRequest, expected: TokenExpectation) -> Credentials | None:
    """Return the registered client that most likely sent the request; None if unknown.

    It recognizes a client even from malformed credentials, or by its client_id alone. A lenient
    broker then issues the token to the right client, and the journal names it.

    The accepted methods come first: their credentials are the likeliest.
    """
    accepted = accepted_methods(expected.profile)
    kinds = tuple(map(type, accepted))
    for method in (*accepted, *(method for method in METHODS if type(method) not in kinds)):
        for pair in expected.credentials:
            if method.presents(request, pair):
                return pair
    # Only if no credentials match: an id alone may be a guess, a secret hardly.
    named = frozenset().union(*(method.client_ids_in(request) for method in METHODS))
    return next((pair for pair in expected.credentials if pair.client_id in named), None)
