"""Certificates for a broker that speaks TLS, made on the spot and trusted by nobody else."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MissingExtraError", "ServerCertificate", "throw_away_certificate"]

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
WILDCARDS = {"", "0.0.0.0", "::"}  # noqa: S104 - addresses that no client calls


class MissingExtraError(ImportError):
    """Something was asked for that needs packages which a plain installation leaves out."""


@dataclass(frozen=True)
class ServerCertificate:
    """What a server needs to speak TLS, and what its clients need to trust it.

    ``context`` is a server-side context with the certificate and its key loaded; ``ca_file`` is
    the path of the certificate authority's certificate in PEM, None if clients know it anyway.
    """

    context: ssl.SSLContext
    ca_file: str | None = None


def throw_away_certificate(directory: Path, host: str = "127.0.0.1") -> ServerCertificate:
    """A certificate for the host and the loopback names, signed by a new authority.

    The authority's certificate is written to ``ca.pem`` in the directory; its key is forgotten.
    Raises MissingExtraError if trustme is not installed.
    """
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("TLS needs trustme: pip install 'mockbroker[tls]'") from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = {host, *LOOPBACK_NAMES} - WILDCARDS
    authority.issue_cert(*sorted(names)).configure_cert(context)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return ServerCertificate(context, str(ca_file))
