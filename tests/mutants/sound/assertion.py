"""Sound clients that authenticate by a signed assertion, each in another way."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from examples.assertion_client import AssertionTokenManager

__all__ = ["SIGNING"]


class SaysMore(AssertionTokenManager):
    """Names an audience in a list, an earlier begin, fractions of seconds, and its client_id."""

    def _claims(self) -> dict[str, Any]:
        claims = super()._claims()
        return {
            **claims,
            "aud": [self._audience, "https://elsewhere.example"],
            "nbf": claims["iat"] - 30,
            "exp": claims["exp"] + 0.5,
            "client_name": "shop",
        }

    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "client_id": self._client_id}


class SaysLess(AssertionTokenManager):
    """Leaves out what is optional."""

    def _claims(self) -> dict[str, Any]:
        return {name: value for name, value in super()._claims().items() if name != "iat"}


class SignsByHand(AssertionTokenManager):
    """Makes the JWT without a library for it, with members in another order and layout."""

    def _assertion(self) -> str:
        header = {"typ": "JWT", "kid": self._key_id, "alg": self._algorithm}
        parts = (json.dumps(part, indent=1).encode() for part in (header, self._claims()))
        signed = b".".join(map(_b64, parts))
        return (signed + b"." + _b64(self._signature(signed))).decode()

    def _signature(self, signed: bytes) -> bytes:
        key = load_pem_private_key(self._private_key.encode(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(signed, PKCS1v15(), hashes.SHA256())
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        halves = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return b"".join(half.to_bytes(32, "big") for half in halves)


def _b64(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


SIGNING: tuple[type[AssertionTokenManager], ...] = (
    AssertionTokenManager,
    SaysMore,
    SaysLess,
    SignsByHand,
)
"""Sound clients of a profile with ``private_key_jwt``."""
