"""The keys by which a broker signs its tokens, and the set of them that it publishes (RFC 7517).

joserfc is imported and a key made at the first signed token: most brokers issue opaque tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

__all__ = ["KeyRing", "SigningKey", "first_key", "new_key", "unpublished_key"]

# RFC 7518, 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private RSA key in PEM, and its id, which is its thumbprint (RFC 7638)."""

    pem: bytes = field(repr=False)

    @property
    def key(self) -> RSAKey:
        """The key as joserfc has it."""
        return _parsed(self.pem)

    @property
    def kid(self) -> str:
        """The id of the key in the header of a token and in the published set."""
        return self.key.thumbprint()

    @property
    def public(self) -> Mapping[str, Any]:
        """The public key as the member of a set of keys."""
        members = self.key.as_dict(private=False)
        return {**members, "kid": self.kid, "use": "sig", "alg": "RS256"}


# A broker signs by the same key again and again, and parsing costs more than signing.
@lru_cache(maxsize=64)
def _parsed(pem: bytes) -> RSAKey:
    """Return the key of a PEM text."""
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - see the module

    return RSAKey.import_key(pem)


def new_key() -> SigningKey:
    """Make a key, which takes about 100 ms."""
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - see the module

    return SigningKey(RSAKey.generate_key(_KEY_BITS).as_pem(private=True))


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
