"""Keys of clients that authenticate by an assertion or a certificate: made, and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from mockbroker.broker.client_certificates import with_certificate
from mockbroker.contract.authentication import PrivateKeyJwt
from mockbroker.contract.authentication.client_certificate import certificates_in
from mockbroker.contract.authentication.public_keys import public_keys_in
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile

__all__ = ["NO_KEYS", "KeyNeeds", "equipped", "key_algorithm_of", "needs_of", "with_new_key"]

_RSA_BITS = 2048
_KEYS = 2
_CERTIFICATE_ALGORITHM = "ES256"
"""The algorithm of a key for certificates only, the fastest that every TLS library knows."""


@dataclass(frozen=True, slots=True)
class KeyNeeds:
    """What clients of a profile need beside a secret; either may be empty.

    ``algorithm`` is that of a key for assertions. ``certificate`` is the client authentication
    method that a certificate is for.
    """

    algorithm: str = ""
    certificate: str = ""


NO_KEYS = KeyNeeds()


def needs_of(profile: Profile) -> KeyNeeds:
    """Return what clients of a profile need to authenticate, beside a secret."""
    return KeyNeeds(key_algorithm_of(profile), profile.certificate_method)


def key_algorithm_of(profile: Profile) -> str:
    """Return the algorithm for which clients of a profile need a key; empty if they need none."""
    if PrivateKeyJwt.name not in profile.authentication_methods:
        return ""
    return profile.assertion.algorithms[0]


def equipped(credentials: Credentials, needs: KeyNeeds) -> Credentials:
    """Return the credentials with the key and the certificate that they need and do not have.

    A certificate is made for a key that the broker has made. Raises ValueError if their public keys
    or their certificate are malformed.
    """
    has_keys = bool(public_keys_in(credentials.public_keys, credentials.key_id))
    # The key of a certificate that was given is with the client.
    needs_certificate = needs.certificate and not certificates_in(credentials.certificate)
    algorithm = needs.algorithm or (_CERTIFICATE_ALGORITHM if needs_certificate else "")
    if algorithm and not has_keys:
        credentials = with_new_key(credentials, algorithm)
    if needs_certificate and credentials.private_key:
        credentials = with_certificate(credentials, needs.certificate)
    return credentials


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
