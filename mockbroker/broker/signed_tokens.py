"""Access tokens as signed JSON Web Tokens (RFC 9068), and some that must be rejected.

PyJWT is imported at the first token: most brokers issue opaque ones.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mockbroker.broker.faults import TokenFlaw
from mockbroker.broker.signing_keys import SigningKey, unpublished_key

__all__ = ["TokenClaims", "signed_token"]

_HOUR_SECONDS = 3600
_ELSEWHERE = "https://elsewhere.example"
"""An issuer or an audience that no token of a broker has otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """What a signed token says. ``issued_at`` is in Unix seconds, ``expires_in`` in seconds.

    ``bound_to`` is the ``x5t#S256`` of the client's certificate; empty for a bearer token.
    """

    issuer: str
    audience: str
    client_id: str
    scope: str
    issued_at: float
    expires_in: float
    bound_to: str = ""

    def members(self) -> dict[str, Any]:
        """Return the claims of RFC 9068, 2.2; without a scope they have no such claim."""
        return {
            "iss": self.issuer,
            # RFC 9068, 2.2: without a resource owner "the value of "sub" SHOULD correspond to an
            # identifier the authorization server uses to indicate the client application".
            "sub": self.client_id,
            "aud": self.audience,
            "client_id": self.client_id,
            **({"scope": self.scope} if self.scope else {}),
            # RFC 8705, 3.1: the confirmation method "x5t#S256".
            **({"cnf": {"x5t#S256": self.bound_to}} if self.bound_to else {}),
            # Whole seconds, as most issuers have them: some JWT libraries reject a fraction.
            "iat": int(self.issued_at),
            "exp": int(self.issued_at + self.expires_in),
            # Without a random jti, two tokens of one second would have the same claims.
            "jti": secrets.token_hex(8),
        }


def signed_token(claims: TokenClaims, key: SigningKey, flaw: TokenFlaw | None = None) -> str:
    """Return a token with these claims, signed by RS256, with the flaw if there is one."""
    members = claims.members()
    if flaw in _CLAIMS:
        members |= _CLAIMS[flaw](claims)
    if flaw in _SIGNERS:
        return _SIGNERS[flaw](members, key)
    return _signed(members, key)


_CLAIMS: Mapping[TokenFlaw | None, Callable[[TokenClaims], dict[str, Any]]] = {
    # An hour is more than any tolerance of clocks.
    TokenFlaw.EXPIRED: lambda claims: {
        "iat": int(claims.issued_at - claims.expires_in) - _HOUR_SECONDS,
        "exp": int(claims.issued_at) - _HOUR_SECONDS,
    },
    TokenFlaw.NOT_YET_VALID: lambda claims: {"nbf": int(claims.issued_at) + _HOUR_SECONDS},
    TokenFlaw.AUDIENCE: lambda _: {"aud": _ELSEWHERE},
    TokenFlaw.ISSUER: lambda _: {"iss": _ELSEWHERE},
}


def _signed(members: Mapping[str, Any], key: SigningKey, kid: str = "") -> str:
    """Return the token, signed by a key, with the id of that key or another one."""
    import jwt  # noqa: PLC0415 - see the module

    # RFC 9068, 2.1: the type "at+jwt" distinguishes access tokens from ID tokens.
    header = {"typ": "at+jwt", "kid": kid or key.kid}
    return jwt.encode(dict(members), key.private, algorithm="RS256", headers=header)


def _by_wrong_key(members: Mapping[str, Any], key: SigningKey) -> str:
    """Return a token that names the published key, and is signed by another one."""
    return _signed(members, unpublished_key(), key.kid)


def _by_unknown_key(members: Mapping[str, Any], _: SigningKey) -> str:
    """Return a token that names a key that is not published."""
    return _signed(members, unpublished_key())


def _unsigned(members: Mapping[str, Any], key: SigningKey) -> str:
    """Return a token of the algorithm none (RFC 7519, 6)."""
    return _joined({"alg": "none", "typ": "at+jwt", "kid": key.kid}, members) + "."


def _by_public_key(members: Mapping[str, Any], key: SigningKey) -> str:
    """Return a token whose HMAC has the public key as its secret.

    RFC 8725, 2.1: some libraries "would validate an HMAC with the RSA public key as its secret".
    """
    signed = _joined({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}, members)
    digest = hmac.digest(key.public_pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(digest)}"


def _altered(members: Mapping[str, Any], key: SigningKey) -> str:
    """Return a token whose claims were changed after it was signed."""
    header, _, signature = _signed(members, key).split(".")
    claims = _base64url(json.dumps({**members, "scope": "admin"}).encode())
    return f"{header}.{claims}.{signature}"


_SIGNERS: Mapping[TokenFlaw | None, Callable[[Mapping[str, Any], SigningKey], str]] = {
    TokenFlaw.KEY: _by_wrong_key,
    TokenFlaw.UNKNOWN_KEY: _by_unknown_key,
    TokenFlaw.UNSIGNED: _unsigned,
    TokenFlaw.ALGORITHM: _by_public_key,
    TokenFlaw.ALTERED: _altered,
}


def _joined(header: Mapping[str, Any], members: Mapping[str, Any]) -> str:
    """Return the first two parts of a token."""
    return ".".join(_base64url(json.dumps(part).encode()) for part in (header, members))


def _base64url(data: bytes) -> str:
    """Return the octets in the encoding of the parts of a JWT."""
    # RFC 7515, 2: base64url "with all trailing '=' characters omitted".
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
