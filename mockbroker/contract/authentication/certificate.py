"""Client authentication by a certificate of the TLS connection (RFC 8705, 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mockbroker.contract.authentication.certificate_problems import (
    is_certificate_of,
    other_credentials,
    problems_in,
)
from mockbroker.contract.authentication.client_certificate import presented_certificate
from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import sent_twice
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials
from mockbroker.model.token_request import TokenRequest

__all__ = ["ClientCertificateMethod", "SelfSignedTlsClientAuth", "TlsClientAuth"]


class ClientCertificateMethod(AuthenticationMethod):
    """The base of both methods: a certificate in TLS, and client_id in the body."""

    chapter = "certificate"
    place = "by the certificate of the TLS connection"
    expected = "the client's registered certificate, and client_id in the body"

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether the connection has a certificate of the client."""
        return bool(request.message.certificate)

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the connection has the client's certificate."""
        if not request.message.certificate:
            return False
        presented = presented_certificate(request.message.certificate)
        return is_certificate_of(presented, credentials, (self.name,))

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return None: a certificate does not show what was registered."""
        del request
        return None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return the client ids in the body."""
        return frozenset(request.values("client_id"))

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the hint on each problem, and on credentials of another method beside it."""
        for problem in problems_in(request, expected):
            yield problem.hint
        if self.is_used_in(request) and other_credentials(request):
            yield sent_twice(self.place)

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no header fields: no header holds credentials."""
        del credentials
        return {}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return client_id (RFC 8705, 2)."""
        return {"client_id": credentials.client_id}

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's options for the files of certificate and key, and for client_id."""
        certificate = credentials.certificate_file or "client.pem"
        key = credentials.key_file or "client.key"
        client_id = f"client_id={credentials.client_id}"
        return ("--cert", certificate, "--key", key, "--data-urlencode", client_id)


class TlsClientAuth(ClientCertificateMethod):
    """A certificate that an authority has issued, recognized by its subject (RFC 8705, 2.1)."""

    name = "tls_client_auth"


class SelfSignedTlsClientAuth(ClientCertificateMethod):
    """A certificate that is registered itself (RFC 8705, 2.2)."""

    name = "self_signed_tls_client_auth"
