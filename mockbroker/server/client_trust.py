"""The certificates of clients that a server accepts in TLS handshakes.

Python's ssl module has no callback for a certificate that it cannot verify. So the server trusts
each registered certificate itself, and the handshake fails with any other.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable

__all__ = ["ClientTrust"]


class ClientTrust:
    """The client certificates that a server-side TLS context accepts; thread-safe.

    A certificate stays accepted by TLS once it was: the broker judges whether it is registered.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        # A context that asks for certificates by itself is left as it is.
        self._is_ours = context.verify_mode is ssl.CERT_NONE
        self._accepted: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, *, asks: bool) -> None:
        """Ask the clients of later connections for a certificate, or do not."""
        if self._is_ours:
            # Optional: the broker refuses a client without one, with a hint.
            self._context.verify_mode = ssl.CERT_OPTIONAL if asks else ssl.CERT_NONE

    def accept(self, certificates: Iterable[str]) -> None:
        """Accept these certificates, each in PEM, and those that they have issued."""
        # OpenSSL would search for the issuer of a certificate that is registered itself.
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for pem in certificates:
            with self._lock:
                if pem not in self._accepted:
                    self._context.load_verify_locations(cadata=pem)
                    self._accepted.add(pem)
