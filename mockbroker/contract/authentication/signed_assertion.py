"""An assertion taken apart once: a JSON Web Token in compact form (RFC 7515, 7.1)."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mockbroker.contract.authentication.public_keys import PublicKey, public_keys_in, verifies
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "ASSERTION_TYPE",
    "ASSERTION_VARIABLE",
    "SignedAssertion",
    "assertion_in",
    "proven_use",
    "verifying_key",
]

# RFC 7523, 2.2.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_VARIABLE = "${ASSERTION}"
"""What stands for an assertion in a command: it lives for minutes, so the user makes one."""
_PARTS = 3


@dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A JWT: its header and claims, decoded but not verified, and what its signature covers."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def text(self, claim: str) -> str:
        """Return the value of a claim that is a string; empty for any other."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) else ""

    @property
    def algorithm(self) -> str:
        """The header's ``alg``; empty if it is not a string."""
        value = self.header.get("alg")
        return value if isinstance(value, str) else ""

    @property
    def key_id(self) -> str:
        """The header's ``kid``; empty if it is not a string."""
        value = self.header.get("kid")
        return value if isinstance(value, str) else ""


def assertion_in(request: TokenRequest) -> SignedAssertion | None:
    """Return the first ``client_assertion`` in the body; None if it is not a JWT."""
    values = request.values("client_assertion")
    return _read(values[0]) if values else None


# A request has a judge for each clause, and each of them reads the assertion.
@lru_cache(maxsize=64)
def _read(text: str) -> SignedAssertion | None:
    parts = text.split(".")
    if len(parts) != _PARTS or not text.isascii():
        return None
    try:
        header, claims = (json.loads(_octets(part)) for part in parts[:2])
        signature = _octets(parts[2])
    # A client may send anything: json.loads recurses for each bracket, and raises ValueError for
    # what is not JSON or UTF-8.
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return SignedAssertion(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def _octets(part: str) -> bytes:
    """Return a decoded part. Raises ValueError for padding and other characters (RFC 7515, 2)."""
    # b64decode takes the two characters of standard Base64 as well as those for URLs.
    if any(character in part for character in "=+/"):
        raise ValueError("padding or standard Base64")
    return b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def verifying_key(
    assertion: SignedAssertion, client: Credentials, algorithms: Collection[str]
) -> PublicKey | None:
    """Return the client's key that verifies the signature; None if no key does.

    All of them are tried, not only the one that ``kid`` names: a wrong ``kid`` is another mistake.
    """
    algorithm = assertion.algorithm
    if algorithm not in algorithms:
        return None
    for key in public_keys_in(client.public_keys, client.key_id):
        if verifies(key, algorithm, assertion.signed, assertion.signature):
            return key
    return None


def proven_use(request: TokenRequest, registered: tuple[Credentials, ...], profile: Profile) -> str:
    """Return what identifies an assertion that is used once; empty if there is none.

    It is the client and the ``jti``. A signature that does not verify proves no use: another
    sender could use up a client's ``jti`` otherwise.
    """
    assertion = assertion_in(request)
    if assertion is None or not assertion.text("jti"):
        return ""
    for client in registered:
        named = client.client_id == assertion.text("iss")
        if named and verifying_key(assertion, client, profile.assertion.algorithms):
            return f"{client.client_id}\0{assertion.text('jti')}"
    return ""
