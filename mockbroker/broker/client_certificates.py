"""Certificates of clients, made for a test, with the files that HTTP clients read.

The files are in a folder of this process, which removes it at its end.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from mockbroker.model.credentials import Credentials

__all__ = ["remove_files", "with_certificate"]

# As trustme has it: a client with a moved clock still accepts the certificate.
_FROM = datetime(2000, 1, 1, tzinfo=timezone.utc)
_UNTIL = datetime(3000, 1, 1, tzinfo=timezone.utc)
_LONGEST_COMMON_NAME = 64  # RFC 5280, A.1: ub-common-name


def with_certificate(credentials: Credentials, method: str) -> Credentials:
    """Return the credentials with a certificate for their private key, which the broker has made.

    ``method`` is the client authentication method, which decides who issues the certificate.
    Another secret gives another certificate, so that replacing the secret renews it.
    """
    pem = _certificate(
        credentials.client_id, credentials.client_secret, credentials.private_key, method
    )
    return replace(
        credentials,
        certificate=pem,
        certificate_file=_file(pem),
        key_file=_file(credentials.private_key),
    )


# Kit and broker ask for the same one. A process makes one for each client that it registers.
@cache
def _certificate(client_id: str, secret: str, private_key: str, method: str) -> str:
    """Return the certificate in PEM, followed by that of its authority if it has one."""
    from cryptography import x509  # noqa: PLC0415 - seldom needed
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - seldom needed
        load_pem_private_key,
    )

    del secret  # certificates of several secrets differ by their serial number
    key: Any = load_pem_private_key(private_key.encode(), None)
    subject = _name_of(_common_name(client_id))
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    if method == "self_signed_tls_client_auth":
        return _pem(
            _signed(_builder(subject, subject, key).add_extension(usage, critical=False), key)
        )
    authority, authority_key = _authority()
    builder = _builder(subject, authority.subject, key).add_extension(usage, critical=False)
    return _pem(_signed(builder, authority_key)) + _pem(authority)


@cache
def _authority() -> tuple[Any, Any]:
    """Return the certificate and the key of the authority of this process for clients."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - seldom needed

    key = ec.generate_private_key(ec.SECP256R1())
    # Another process has another key, so its authority must have another name.
    name = _name_of(f"mockbroker client authority {os.urandom(4).hex()}")
    return _signed(_builder(name, name, key, is_authority=True), key), key


def _common_name(client_id: str) -> str:
    """Return a name for a client_id, which may have any length and any character."""
    octets = client_id.encode("utf-8", "surrogatepass")
    if 0 < len(client_id) <= _LONGEST_COMMON_NAME and client_id.isprintable():
        return client_id
    return f"client {sha256(octets).hexdigest()[:16]}"


def _name_of(common_name: str) -> Any:
    """Return a subject."""
    from cryptography import x509  # noqa: PLC0415 - seldom needed

    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, common_name)])


def _builder(subject: Any, issuer: Any, key: Any, *, is_authority: bool = False) -> Any:
    """Return a certificate for a key that is not signed yet."""
    from cryptography import x509  # noqa: PLC0415 - seldom needed

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )


def _signed(builder: Any, key: Any) -> Any:
    """Return the certificate of a builder, signed by a key."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - seldom needed

    return builder.sign(key, hashes.SHA256())


def _pem(certificate: Any) -> str:
    """Return a certificate in PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    pem: bytes = certificate.public_bytes(Encoding.PEM)
    return pem.decode()


@cache
def _file(text: str) -> str:
    """Return the path of a file with that text, which only its owner can read."""
    path = _folder()[0] / f"{sha256(text.encode()).hexdigest()[:16]}.pem"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return str(path)


@cache
def _folder() -> tuple[Path, int]:
    """Return the folder of this process, and the process that removes it."""
    atexit.register(remove_files)
    return Path(tempfile.mkdtemp(prefix="mockbroker-clients-")), os.getpid()


def remove_files() -> None:
    """Remove the files of this process, which ends; a forked child leaves those of its parent.

    Call it before `os._exit`, which does not call it.
    """
    if _folder.cache_info().currsize:
        folder, owner = _folder()
        if owner == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)
