"""Certificates of clients, for tests: made as openssl would make them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["Own", "der_of", "own_certificate"]


@dataclass(frozen=True)
class Own:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def files(self, folder: Path) -> tuple[str, str]:
        """The paths of certificate and key."""
        certificate, key = folder / "own.pem", folder / "own.key"
        certificate.write_text(self.pem)
        octets = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(octets)
        return str(certificate), str(key)


def own_certificate(
    name: str = "shop",
    *,
    issuer: Own | None = None,
    alternative: tuple[str, ...] = (),
    days: int = 3650,
    is_authority: bool = False,
) -> Own:
    """A certificate of that name, self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if alternative:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in alternative])
        builder = builder.add_extension(names, critical=False)
    return Own(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def der_of(pem: str) -> bytes:
    """The octets of the first certificate in PEM."""
    return x509.load_pem_x509_certificates(pem.encode())[0].public_bytes(Encoding.DER)
