"""What the Authorization headers of a request decode to, without the secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mockbroker.contract.authentication.basic_hints import is_right, what_follows_basic
from mockbroker.contract.authentication.header_value import read_credentials
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.authorization import Authorization
from mockbroker.model.masking import Mask, quoted, scheme_name
from mockbroker.model.token_request import TokenRequest

__all__ = ["DecodedCredentials", "decoded_credentials"]

_KINDS = (
    ("letters", re.compile(r"[A-Za-z]")),
    ("digits", re.compile(r"[0-9]")),
    ("white space", re.compile(r"\s")),
    ("punctuation", re.compile(r"[!-/:-@\[-`{-~]")),
    ("other characters", re.compile(r"[^\x00-\x7f]")),
    ("control characters", re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedCredentials:
    """What an Authorization header holds. No field holds a secret or a token.

    ``client_id`` is None if the header holds no pair. ``description`` says in words what it holds.
    """

    scheme: str
    description: str
    client_id: str | None = None
    secret_length: int | None = None
    secret_characters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Authorization: {self.scheme or '(no scheme)'} → {self.description}"

    def as_json(self) -> dict[str, object]:
        """Return it as values for JSON."""
        return {
            "scheme": self.scheme,
            "client_id": self.client_id,
            "secret_length": self.secret_length,
            "secret_characters": list(self.secret_characters),
            "description": self.description,
        }

    def masked(self, mask: Mask) -> DecodedCredentials:
        """Return it masked: a client may have sent its secret in place of its id."""
        client_id = None if self.client_id is None else mask(self.client_id)
        return replace(
            self, client_id=client_id, description=mask(self.description), scheme=mask(self.scheme)
        )


def decoded_credentials(
    request: TokenRequest, expected: TokenExpectation
) -> tuple[DecodedCredentials, ...]:
    """Return what each Authorization header of a token request holds."""
    return tuple(_decoded(each, expected) for each in request.authorizations)


def _decoded(authorization: Authorization, expected: TokenExpectation) -> DecodedCredentials:
    """Return what one header holds."""
    scheme = scheme_name(authorization.scheme)
    text = what_follows_basic(authorization)
    if text is None:
        length = len(authorization.rest)
        return DecodedCredentials(
            scheme=scheme, description=f"{length} characters, which Basic does not explain"
        )
    value = read_credentials(text, lambda octets: is_right(octets, expected))
    octets = value.octets
    if octets is None:
        return DecodedCredentials(scheme=scheme, description=_how_far(text))
    if value.is_final or b":" not in octets:
        is_text = octets.decode("utf-8", "replace").isprintable()
        what = "characters of text" if is_text else "bytes that are not text"
        return DecodedCredentials(
            scheme=scheme, description=f"{len(octets)} {what}, without a pair of id and secret"
        )
    client_id, secret = value.pair
    if not secret:
        # Without a secret the text may be the secret itself, or both joined.
        return DecodedCredentials(
            scheme=scheme,
            description=f"{len(client_id)} characters before the colon, and an empty secret",
            secret_length=0,
        )
    kinds = tuple(name for name, pattern in _KINDS if pattern.search(secret))
    noun = "character" if len(secret) == 1 else "characters"
    of_what = f" ({', '.join(kinds)})" if kinds else ""
    undone = ", with the mistakes below undone" if value.mistakes else ""
    return DecodedCredentials(
        scheme=scheme,
        description=(
            f"client_id {quoted(client_id)}, a secret of {len(secret)} {noun}{of_what}{undone}"
        ),
        client_id=client_id,
        secret_length=len(secret),
        secret_characters=kinds,
    )


def _how_far(text: str) -> str:
    """Return how far a text is Base64."""
    good = re.match(r"[A-Za-z0-9+/_-]*=*", text.strip())
    length = len(good[0]) if good else 0
    total = len(text.strip())
    if length == total:
        return f"{total} characters, which are Base64 characters but an incomplete text"
    return f"not Base64: of {total} characters only the first {length} can be Base64"
