"""Access tokens: issue, look up, revoke, expire."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Collection

from mockbroker.spec.credentials import AccessToken, Credentials, TokenState

__all__ = ["TokenStore", "random_jwt", "random_token"]

TOKEN_LIMIT = 10_000


def random_token() -> str:
    """An opaque token of 43 random characters of the b64token alphabet (RFC 6750, 2.1)."""
    return secrets.token_urlsafe(32)


def random_jwt(issuer: str, client_id: str, issued_at: float, expires_in: float) -> str:
    """A JSON Web Token with the claims that say so (RFC 7519), under a signature of noise.

    ``issued_at`` is in Unix seconds, ``expires_in`` in seconds. Nobody can verify it: the broker
    looks its tokens up.
    """
    times = {"iat": int(issued_at), "exp": int(issued_at + expires_in)}
    claims = {"iss": issuer, "sub": client_id, "jti": secrets.token_hex(8), **times}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    encoded = [_base64url(json.dumps(part).encode()) for part in parts]
    return ".".join([*encoded, _base64url(secrets.token_bytes(32))])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class TokenStore:
    """The tokens of one broker, the newest ``limit`` of them; safe to use from many threads."""

    def __init__(self, limit: int = TOKEN_LIMIT) -> None:
        self._limit = limit
        self._tokens: dict[str, AccessToken] = {}
        self._revoked: set[str] = set()
        self._issued_count = 0
        self._lock = threading.Lock()

    def issue(
        self,
        value: str,
        *,
        issuer: str,
        credentials: Credentials,
        scope: str,
        issued_at: float,
        expires_in: float,
    ) -> AccessToken:
        """Remember a new token; a value issued before now means the new one.

        ``issued_at`` is in Unix seconds, ``expires_in`` in seconds.
        """
        with self._lock:
            self._issued_count += 1
            number = self._issued_count
            token = AccessToken(value, number, issuer, credentials, scope, issued_at, expires_in)
            self._tokens.pop(value, None)
            self._revoked.discard(value)
            self._tokens[value] = token
            while len(self._tokens) > self._limit:
                self._forget(next(iter(self._tokens)))
            return token

    def _forget(self, value: str) -> None:
        del self._tokens[value]
        self._revoked.discard(value)

    def find(self, value: str) -> AccessToken | None:
        """The token of that value, whatever became of it, or None."""
        with self._lock:
            return self._tokens.get(value)

    def state(self, token: AccessToken, now: float) -> TokenState:
        """What has become of a token at a time in Unix seconds."""
        with self._lock:
            if self._tokens.get(token.value) is not token:
                return TokenState.UNKNOWN
            if token.value in self._revoked:
                return TokenState.REVOKED
        return TokenState.VALID if now < token.expires_at else TokenState.EXPIRED

    def revoke_all(self) -> None:
        """Make every token issued so far worthless."""
        with self._lock:
            self._revoked.update(self._tokens)

    def clear(self) -> None:
        """Forget every token, and count from 1 again."""
        with self._lock:
            self._tokens.clear()
            self._revoked.clear()
            self._issued_count = 0

    @property
    def values(self) -> Collection[str]:
        """The values of the tokens known, as they are at this moment."""
        with self._lock:
            return frozenset(self._tokens)
