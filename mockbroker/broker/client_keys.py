"""Keys of clients that authenticate by a signed assertion: made for a test, and checked."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from mockbroker.contract.authentication import PrivateKeyJwt
from mockbroker.contract.authentication.public_keys import public_keys_in
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile

__all__ = ["key_algorithm_of", "with_key", "with_new_key"]

_RSA_BITS = 2048
_KEYS = 2


def key_algorithm_of(profile: Profile) -> str:
    """Return the algorithm for which clients of a profile need a key; empty if they need none."""
    if PrivateKeyJwt.name not in profile.authentication_methods:
        return ""
    return profile.assertion.algorithms[0]


def with_key(credentials: Credentials, algorithm: str) -> Credentials:
    """Return the credentials with a key for that algorithm, unless they have one.

    Without an algorithm they need none. Raises ValueError if their public keys are malformed.
    """
    if public_keys_in(credentials.public_keys, credentials.key_id) or not algorithm:
        return credentials
    return with_new_key(credentials, algorithm)


def with_new_key(
    credentials: Credentials, algorithm: str, *, number: int | None = None
) -> Credentials:
    """Return the credentials with a key that depends on them, or with the key of that number.

    Another secret gives another ``kid``, so that replacing the secret rotates the key. A process
    makes few keys, which clients share: an RSA key takes a tenth of a second.
    """
    digest = sha256(repr((credentials.client_id, credentials.client_secret, number)).encode())
    chosen = digest.digest()[0] % _KEYS if number is None else number
    pem, members = _key_pair(algorithm, chosen)
    kid = f"key-{digest.hexdigest()[:8]}"
    jwk = {**members, "kid": kid, "use": "sig", "alg": algorithm}
    keys = json.dumps({"keys": [jwk]})
    return replace(credentials, private_key=pem, key_id=kid, public_keys=keys)


@lru_cache(maxsize=16)
def _key_pair(algorithm: str, number: int) -> tuple[str, dict[str, Any]]:
    """Return a private key as PEM, and its public half as the members of a JWK."""
    del number  # keys of several numbers differ
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - seldom needed
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - seldom needed
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - seldom needed

    key: Any
    if algorithm.startswith("ES"):
        key = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    jwk = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    return pem.decode(), {name: value for name, value in jwk.items() if name != "key_ops"}
