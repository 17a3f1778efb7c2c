"""Certificates of clients: read from PEM, and compared with the one of a connection (RFC 8705).

cryptography is imported when a certificate is first read: most brokers have none.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

__all__ = ["ClientCertificate", "certificates_in", "presented_certificate", "thumbprint_of"]

_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate. ``name`` is its subject, or its alternative names if that is empty.

    ``is_self_signed`` says whether it names itself as its issuer.
    """

    name: str
    is_self_signed: bool
    der: bytes = field(repr=False)
    certificate: Any = field(repr=False, compare=False)

    def is_issued_by(self, authority: ClientCertificate) -> bool:
        """Return whether the key of the other certificate has signed this one."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module

        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        # For another issuer's name or type of key, and for another key.
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def thumbprint_of(der: bytes) -> str:
    """Return the ``x5t#S256`` of a certificate: its SHA-256 in base64url, without padding."""
    return base64.urlsafe_b64encode(sha256(der).digest()).decode().rstrip("=")


# Each token request reads the certificates of its client, and a broker has few clients.
@lru_cache(maxsize=256)
def certificates_in(pem: str) -> tuple[ClientCertificate, ...]:
    """Return the certificates in PEM, in their order; none for an empty string.

    Raises ValueError with a message of one sentence.
    """
    if not pem:
        return ()
    from cryptography import x509  # noqa: PLC0415 - see the module

    octets = pem.encode("utf-8", "surrogatepass")
    if _BEGIN not in octets:
        raise ValueError(
            "the certificate is not PEM; expected text that has -----BEGIN CERTIFICATE-----"
        )
    try:
        return tuple(map(_read, x509.load_pem_x509_certificates(octets)))
    except ValueError:
        raise ValueError("the certificate is malformed; expected a certificate in PEM") from None


# Each request of a connection has the same one.
@lru_cache(maxsize=256)
def presented_certificate(der: bytes) -> ClientCertificate:
    """Return the certificate of a connection, which TLS has verified, from its octets."""
    from cryptography import x509  # noqa: PLC0415 - see the module

    return _read(x509.load_der_x509_certificate(der))


def _read(certificate: Any) -> ClientCertificate:
    """Return a certificate with its name."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    subject = certificate.subject.rfc4514_string()
    return ClientCertificate(
        name=subject or _alternative_names(certificate),
        is_self_signed=certificate.subject == certificate.issuer,
        der=certificate.public_bytes(Encoding.DER),
        certificate=certificate,
    )


def _alternative_names(certificate: Any) -> str:
    """Return the alternative names of a certificate without a subject (RFC 5280, 4.1.2.6)."""
    from cryptography import x509  # noqa: PLC0415 - see the module

    kind = x509.SubjectAlternativeName
    found = [each.value for each in certificate.extensions if isinstance(each.value, kind)]
    return ", ".join(sorted(str(name.value) for names in found for name in names))
