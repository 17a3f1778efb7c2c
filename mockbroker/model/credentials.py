"""Client credentials and access tokens.

Secrets and token values are left out of every repr: pytest prints the values of a failing
assertion, and CI servers keep its output.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass, field

__all__ = ["AccessToken", "Credentials", "TokenState", "same_text"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client identifier and its secret (RFC 6749, 2.3.1). The repr leaves the secret out.

    A client that authenticates by a key (``private_key_jwt``) has further members. ``public_keys``
    are those that the broker accepts, as a JWK Set or as PEM. ``private_key`` (PEM) and ``key_id``
    are for the client; they are empty if the broker did not make the key.

    A client that authenticates by a certificate (RFC 8705) has ``certificate``: PEM of its own, and
    of the authorities that may issue others for it. ``certificate_file`` and ``key_file`` are the
    paths of the client's certificate and private key, in PEM, if the broker made them.

    Credentials are equal if client_id and secret are.

    The model does not check them; `mockbroker.broker.clients` does when a client is registered.
    """

    client_id: str
    client_secret: str = field(repr=False)
    private_key: str = field(default="", repr=False, compare=False)
    key_id: str = field(default="", repr=False, compare=False)
    public_keys: str = field(default="", repr=False, compare=False)
    certificate: str = field(default="", repr=False, compare=False)
    certificate_file: str = field(default="", compare=False)
    key_file: str = field(default="", compare=False)


def same_text(a: str | bytes, b: str | bytes) -> bool:
    """Return whether two strings are equal, in a time that does not depend on their content.

    A fake broker guards no real secret. But it compares as a real one must (CWE-208), because
    readers copy what they see, and scanners report a plain comparison of secrets.
    """
    return hmac.compare_digest(_octets(a), _octets(b))


def _octets(text: str | bytes) -> bytes:
    """Return bytes as they are, and a string in UTF-8, lone surrogates included."""
    # compare_digest accepts no other strings than ASCII. Lone surrogates come from JSON escapes and
    # from command line arguments that are not UTF-8.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


class TokenState(str, enum.Enum):
    """The state of the bearer token that a call presented.

    ``FORGOTTEN`` means that the broker issued the token and dropped it, because it keeps a limited
    number of tokens. It recognises such a token by a fingerprint. After a million forgotten
    tokens, it takes one in 6,000 tokens that it never issued for a forgotten one.

    ``UNKNOWN`` means that the broker never issued the token. ``MISSING`` means that the call has
    neither a token that the broker knows nor an Authorization header.
    """

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FORGOTTEN = "forgotten"
    UNKNOWN = "unknown"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that a broker issued.

    Times are Unix seconds by the broker's clock. ``expires_in`` is the lifetime in seconds that
    the broker enforces: a token issued at t is valid while now < t + expires_in. ``number`` counts
    the broker's tokens from 1; messages name a token by it, because the value is secret.
    ``issuer`` is the token URL of the broker that issued it. ``bound_to`` is the ``x5t#S256`` of
    the certificate with which it must be presented (RFC 8705, 3.1); empty for a bearer token.
    """

    value: str = field(repr=False)
    number: int
    issuer: str
    credentials: Credentials
    scope: str
    issued_at: float
    expires_in: float
    bound_to: str = ""

    @property
    def expires_at(self) -> float:
        """The Unix time, in seconds, from which the token is no longer valid.

        A token with a lifetime of 0 is never valid: it expires at the moment of its issue.
        """
        return self.issued_at + self.expires_in

    @property
    def label(self) -> str:
        """The name of the token in messages, such as ``token #3``."""
        return f"token #{self.number}"
