"""Certificates for a broker that uses TLS, issued by a temporary certificate authority.

A test needs certificates that no machine trusts otherwise, and clients that trust only them.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

__all__ = ["WILDCARDS", "ServerCertificate", "ThrowAwayAuthority", "throw_away_certificate"]

# A client may write any of them for a broker on the same machine.
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
WILDCARDS = {"", "0.0.0.0", "::"}  # noqa: S104 - addresses that no client calls


@dataclass(frozen=True)
class ServerCertificate:
    """The certificate of a server, and the file by which clients trust it.

    ``context`` is a server-side context with the certificate and its key loaded. ``ca_file`` is
    the path of the certificate authority's certificate in PEM; None if clients trust it already.
    """

    context: ssl.SSLContext
    ca_file: str | None = None


class ThrowAwayAuthority:
    """A temporary certificate authority, whose key stays in memory.

    Its own certificate is written to ``ca.pem`` in the directory.
    """

    def __init__(self, directory: Path) -> None:
        import trustme  # noqa: PLC0415 - slow to import, and most brokers speak plain HTTP

        # A new authority for each broker, whose key is never written to a file: to trust its
        # certificate in a test cannot become a risk later.
        self._authority = trustme.CA()
        self.ca_file = str(directory / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_file)

    def certificate_for(self, *names: str) -> ServerCertificate:
        """Issue a certificate for these host names and addresses, and for no others.

        It is valid from 2000 to 3000, trustme's default: a client with a moved clock still trusts
        it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Sorted, because the names come from a set, which has no fixed order.
        self._authority.issue_cert(*sorted(names)).configure_cert(context)
        return ServerCertificate(context, self.ca_file)


def throw_away_certificate(directory: Path, host: str = "127.0.0.1") -> ServerCertificate:
    """Issue a certificate for the host and the loopback names, signed by a new authority.

    The authority's certificate is written to ``ca.pem`` in the directory.
    """
    # The loopback names are always valid: a client may use localhost for a broker on 127.0.0.1.
    return ThrowAwayAuthority(directory).certificate_for(*({host, *LOOPBACK_NAMES} - WILDCARDS))
