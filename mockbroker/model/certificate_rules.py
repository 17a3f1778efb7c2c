"""What a provider does with certificates of clients, as data (RFC 8705)."""

from __future__ import annotations

from dataclasses import dataclass

from mockbroker.model.typed_reading import field_problem

__all__ = ["CERTIFICATE_METHODS", "CertificateRules"]

CERTIFICATE_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")
"""The client authentication methods that need a certificate (RFC 8705, 2.1.1 and 2.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRules:
    """The rules of a token endpoint whose clients authenticate by a certificate.

    ``bound_tokens`` says whether a token is bound to the certificate of its request. The API then
    rejects it with another certificate, or with none (RFC 8705, 3).

    Raises ValueError if a value does not fit.
    """

    bound_tokens: bool = True

    def __post_init__(self) -> None:
        problem = field_problem(self)
        if problem:
            raise ValueError(problem)
