"""The keys by which a broker signs its tokens, and the set of them that it publishes (RFC 7517).

PyJWT is imported and a key made at the first signed token: most brokers issue opaque tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["KeyRing", "SigningKey", "first_key", "new_key", "unpublished_key"]

# RFC 7518, 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private RSA key in PEM."""

    pem: bytes = field(repr=False)

    @property
    def private(self) -> RSAPrivateKey:
        """The key as PyJWT takes it."""
        return _parsed(self.pem)

    @property
    def kid(self) -> str:
        """The id of the key in the header of a token and in the published set: its thumbprint."""
        return _thumbprint(self.pem)

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as the member of a set of keys."""
        return {**_public_members(self.pem), "kid": self.kid, "use": "sig", "alg": "RS256"}

    @property
    def public_pem(self) -> bytes:
        """The public key in PEM."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see the module

        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


# A broker signs by the same key again and again, and parsing costs more than signing.
@lru_cache(maxsize=64)
def _parsed(pem: bytes) -> RSAPrivateKey:
    """Return the key of a PEM text that `new_key` made."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see the module
        load_pem_private_key,
    )

    return cast("RSAPrivateKey", load_pem_private_key(pem, password=None))


def _public_members(pem: bytes) -> dict[str, str]:
    """Return the members that a public RSA key must have (RFC 7518, 6.3.1)."""
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - see the module

    members = RSAAlgorithm.to_jwk(_parsed(pem).public_key(), as_dict=True)
    return {name: members[name] for name in ("e", "kty", "n")}


@lru_cache(maxsize=64)
def _thumbprint(pem: bytes) -> str:
    """Return the thumbprint of a key (RFC 7638)."""
    # RFC 7638, 3: the required members, in lexicographic order, without white space.
    text = json.dumps(_public_members(pem), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def new_key() -> SigningKey:
    """Make a key, which takes about 100 ms."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see the module
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - see the module

    made = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return SigningKey(
        made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


# Made once in a process: a contract run makes a broker for each test case, and several issuers of
# one provider usually share their keys.
_lock = threading.Lock()


@lru_cache(maxsize=1)
def _first_key() -> SigningKey:
    return new_key()


@lru_cache(maxsize=1)
def _unpublished_key() -> SigningKey:
    return new_key()


def first_key() -> SigningKey:
    """Return the first key of each broker of this process; thread-safe."""
    with _lock:
        return _first_key()


def unpublished_key() -> SigningKey:
    """Return a key that no broker publishes, for tokens with a wrong signature; thread-safe."""
    with _lock:
        return _unpublished_key()


class KeyRing:
    """The keys of one broker, the oldest first; the last one signs. Thread-safe."""

    def __init__(self) -> None:
        self._keys: tuple[SigningKey, ...] = ()
        self._lock = threading.Lock()

    def published(self) -> tuple[SigningKey, ...]:
        """Return the keys whose public halves the broker publishes; the last one signs."""
        with self._lock:
            self._keys = self._keys or (first_key(),)
            return self._keys

    def rotate(self, *, withdraw_old: bool) -> None:
        """Sign by a new key from now on; if ``withdraw_old``, publish the new one only."""
        old, made = self.published(), new_key()
        with self._lock:
            self._keys = (made,) if withdraw_old else (*old, made)

    def reset(self) -> None:
        """Return to the first key."""
        with self._lock:
            self._keys = ()
