"""What is wrong with client authentication by a certificate: one table for judges and hints."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from mockbroker.contract.authentication.client_certificate import (
    ClientCertificate,
    certificates_in,
    presented_certificate,
)
from mockbroker.contract.authentication.problem import Problem
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.certificate_rules import CERTIFICATE_METHODS
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import shown
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "CertificatePart",
    "is_certificate_of",
    "other_credentials",
    "problems_in",
]


class CertificatePart(enum.Enum):
    """The part of client authentication by a certificate that is wrong."""

    PRESENTED = enum.auto()
    CLIENT_ID = enum.auto()


def is_certificate_of(
    presented: ClientCertificate, client: Credentials, methods: tuple[str, ...]
) -> bool:
    """Return whether a method recognizes the client by the certificate of its connection."""
    registered = certificates_in(client.certificate)
    if any(presented.der == each.der for each in registered):
        return True
    # RFC 8705, 2.1: with a PKI the subject identifies the client, so a renewed certificate serves
    # as well. RFC 8705, 2.2: a self-signed one is compared as a whole.
    return (
        "tls_client_auth" in methods
        and bool(registered)
        and presented.name == registered[0].name
        and any(presented.is_issued_by(authority) for authority in registered[1:])
    )


def problems_in(request: TokenRequest, expected: TokenExpectation) -> Iterator[Problem]:
    """Yield the problems of the certificate and of the client_id, at most one of each."""
    der = request.message.certificate
    if der == b"":
        yield _missing(request)
        # What else is wrong would be judged by the method that the client has used instead.
        return
    # Of a pasted request the certificate is unknown.
    owner = None if der is None else _owner(presented_certificate(der), expected)
    if der is not None and owner is None:
        yield _unknown(presented_certificate(der), request, expected)
    yield from _client_id(request, owner)


def other_credentials(request: TokenRequest) -> tuple[str, ...]:
    """Return the credentials of other methods in a request, in words."""
    names = request.names_in_body | request.names_in_query
    return (
        *(["an Authorization header"] if request.authorizations else []),
        *(f"a client_secret in the {place}" for place in request.places_of_secret),
        *(["a client_assertion"] if "client_assertion" in names else []),
    )


def _owner(presented: ClientCertificate, expected: TokenExpectation) -> Credentials | None:
    """Return the client that has registered the certificate; None if there is none."""
    methods = tuple(n for n in expected.profile.authentication_methods if n in CERTIFICATE_METHODS)
    clients = (c for c in expected.credentials if is_certificate_of(presented, c, methods))
    return next(clients, None)


def _missing(request: TokenRequest) -> Problem:
    """Return the problem of a request without a certificate."""
    secret = bool(request.authorizations or request.places_of_secret)
    instead = "it has a secret in its place; " if secret else ""
    hint = (
        f"no client certificate was presented: {instead}give certificate and private key to the "
        "HTTP client, such as cert=(certificate_file, key_file) of requests, and use https"
    )
    return Problem(
        CertificatePart.PRESENTED,
        "the connection has no client certificate",
        "TLS with the client's registered certificate",
        hint,
    )


def _unknown(
    presented: ClientCertificate, request: TokenRequest, expected: TokenExpectation
) -> Problem:
    """Return the problem of a certificate that no client has registered."""
    named = shown(presented.name)
    return Problem(
        CertificatePart.PRESENTED,
        f"the certificate of {named} is registered for no client",
        "the client's registered certificate",
        _likely_mistake(presented, named, request, expected),
    )


def _likely_mistake(
    presented: ClientCertificate, named: str, request: TokenRequest, expected: TokenExpectation
) -> str:
    """Return why a certificate may be unknown, by the client that the request names."""
    ids = request.values("client_id")
    clients = [client for client in expected.credentials if client.client_id in ids]
    registered = certificates_in(clients[0].certificate) if clients else ()
    if clients and not registered:
        return "the client has no registered certificate; register it with its client_id"
    if registered and registered[0].name == presented.name:
        return (
            f"another certificate of {named} is registered: after a renewal, register the new "
            "certificate, and have the client present it"
        )
    if registered:
        return (
            f"the certificate is that of {named}, and the client's is that of "
            f"{shown(registered[0].name)}; was it configured for another client?"
        )
    return f"register the certificate of {named} with the client_id of its client"


def _client_id(request: TokenRequest, owner: Credentials | None) -> Iterator[Problem]:
    """Yield the problem of a client_id that is missing, repeated, or that of another client."""
    ids = request.values("client_id")
    wanted = "the client's client_id in the body, once"
    if len(ids) != 1:
        what = f"the body has client_id {len(ids)} times" if ids else "the body has no client_id"
        hint = (
            f"{what}; a certificate does not name the client for the broker: send client_id as a "
            "parameter of the form, once"
        )
        yield Problem(CertificatePart.CLIENT_ID, what, wanted, hint)
    elif owner is not None and ids[0] != owner.client_id:
        what = "client_id is not that of the client whose certificate was presented"
        hint = (
            f"the certificate is that of client {shown(owner.client_id)}, and client_id is "
            f"{shown(ids[0])}; use certificate and client_id of the same client"
        )
        yield Problem(CertificatePart.CLIENT_ID, what, wanted, hint)
