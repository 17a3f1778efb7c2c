"""Public keys of clients: read from a JWK Set or PEM, and used to verify signatures.

PyJWT and cryptography are imported when a key is first read: most brokers have no keys, and both
take longer to import than the contract.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

__all__ = ["PublicKey", "fits", "public_keys_in", "verifies"]

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies assertions. ``key_id`` is its ``kid``, empty if it has none.

    ``kind`` is ``RSA``, or the algorithm of an elliptic curve, which each curve has one of.
    """

    key_id: str
    kind: str
    key: Any = field(repr=False)


# Each token request reads the keys of its client, and a broker has few clients.
@lru_cache(maxsize=256)
def public_keys_in(text: str, key_id: str = "") -> tuple[PublicKey, ...]:
    """Return the keys in a JWK Set, a JWK, or PEM; ``key_id`` names a key that has no ``kid``.

    PEM may be a public key, a certificate, or a private key, whose public half is taken. Raises
    ValueError with a message of one sentence, which quotes no key.
    """
    if not text:
        return ()
    if text.lstrip().startswith("{"):
        return tuple(_from_jwk(member, key_id) for member in _members(text))
    if "-----BEGIN" in text:
        return (_public_key(_from_pem(text.strip().encode()), key_id),)
    raise ValueError(
        "the key is neither a JWK Set nor PEM; expected JSON with a member keys, or "
        "-----BEGIN PUBLIC KEY-----"
    )


def _members(text: str) -> list[dict[str, Any]]:
    """Return the JWKs of a set, or a single one. Raises ValueError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the JWK Set is not valid JSON: {error}") from None
    members = document.get("keys", [document])
    # RFC 7517, 5: the value of "keys" is an array of JWKs.
    if not isinstance(members, list) or not all(isinstance(each, dict) for each in members):
        raise ValueError("the member keys of the JWK Set is not a list of objects")
    if not members:
        raise ValueError("the JWK Set has no key; expected at least one")
    return members


def _from_jwk(members: dict[str, Any], key_id: str) -> PublicKey:
    """Return the key of a JWK. Raises ValueError."""
    from jwt import InvalidKeyError, PyJWK  # noqa: PLC0415 - see the module's docstring
    from jwt.exceptions import PyJWKError  # noqa: PLC0415 - see above

    kid = members.get("kid", key_id)
    name = repr(kid) if isinstance(kid, str) and kid else "without kid"
    if members.get("kty") not in {"RSA", "EC"}:
        raise ValueError(f"the JWK {name} has another kty than RSA and EC")
    try:
        key = PyJWK(members).key
    # PyJWT reads the numbers of a JWK by functions that raise these.
    except (InvalidKeyError, PyJWKError, ValueError, TypeError, KeyError):
        raise ValueError(f"the JWK {name} is not a valid {members['kty']} key") from None
    return _public_key(key, kid if isinstance(kid, str) else "")


def _from_pem(pem: bytes) -> Any:
    """Return the first key in PEM. Raises ValueError."""
    from cryptography import x509  # noqa: PLC0415 - see the module's docstring
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see above

    try:
        if b"-----BEGIN CERTIFICATE" in pem:
            return x509.load_pem_x509_certificate(pem).public_key()
        if b"PRIVATE KEY-----" in pem:
            return serialization.load_pem_private_key(pem, None)
        return serialization.load_pem_public_key(pem)
    except TypeError:
        raise ValueError("the private key is encrypted; expected one without passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the key is not valid PEM, or of an unknown type") from None


def _public_key(key: Any, key_id: str) -> PublicKey:
    """Return the public half of a key. Raises ValueError for other types than RSA, P-256, P-384."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - see above

    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        key = key.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(key_id, "RSA", key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return PublicKey(key_id, _CURVES[key.curve.name], key)
    raise ValueError("the key is of another type; expected RSA, P-256 or P-384")


def fits(key: PublicKey, algorithm: str) -> bool:
    """Return whether a key is of the type that the algorithm needs."""
    return key.kind == algorithm or (key.kind == "RSA" and algorithm[:2] in {"RS", "PS"})


def verifies(key: PublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Return whether the signature is that of the key; False if the key does not fit."""
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - see the module's docstring

    if not fits(key, algorithm):
        return False
    return get_default_algorithms()[algorithm].verify(signed, key.key, signature)
