"""Reading Authorization headers (RFC 9110, 11.6.2), strictly and leniently.

Judges need the strict reading, hints and recognition the lenient one.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from dataclasses import dataclass
from typing import Literal

from mockbroker.model.credentials import Credentials, same_text

__all__ = [
    "Authorization",
    "BasicEncoding",
    "basic_payload",
    "carries",
    "decode_leniently",
    "from_base64",
    "is_b64token",
    "is_standard_base64",
    "read_authorization",
]

BasicEncoding = Literal["raw", "form", "base64"]
"""The encoding of id and secret before Base64: as they are, or each form-urlencoded."""

# RFC 4648, 4: groups of four characters, the last one padded.
_STANDARD = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
# RFC 6750, 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# What form-urlencoding would have encoded: then the client sent the credentials raw.
# A second colon, or a percent sign without two digits after it, shows that as well.
_UNENCODED = re.compile(rb"[^A-Za-z0-9\-._~*+%:]|:.*:|%(?![0-9A-Fa-f]{2})")
# RFC 9110, 11.1: a scheme is a token, and 5.6.2 says which characters a token has. Registered ones
# begin with a letter; what begins with a sign, such as $AUTH, is a value without a scheme.
# Bounded, because the first word of a header without a scheme may be a secret.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,20}")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an Authorization header; ``scheme`` is empty if it seems to have none.

    ``rest`` is everything after the first space, undecoded. Without a scheme it is the whole value.
    """

    scheme: str
    rest: str

    @property
    def whole(self) -> str:
        """The value of the header as it was received."""
        return f"{self.scheme} {self.rest}" if self.scheme else self.rest

    def is_scheme(self, name: str) -> bool:
        """Return whether the scheme is this one, in any case (RFC 9110, 11.1)."""
        return self.scheme.lower() == name.lower()


def read_authorization(value: str) -> Authorization:
    """Return the value of the header as scheme and rest.

    Spaces after the first one stay in the rest, where the judges see them.
    """
    scheme, space, rest = value.partition(" ")
    if space and _SCHEME.fullmatch(scheme):
        return Authorization(scheme, rest)
    return Authorization("", value)


def is_standard_base64(text: str) -> bool:
    """Return whether the string is Base64 as RFC 7617, 2, requires it.

    That is the standard alphabet, padded, in one line.
    """
    # The pattern also matches an empty string.
    return bool(text) and _STANDARD.fullmatch(text) is not None


def is_b64token(text: str) -> bool:
    """Return whether the string is a b64token (RFC 6750, 2.1)."""
    return _B64TOKEN.fullmatch(text) is not None


def decode_leniently(text: str) -> bytes | None:
    """Decode a string as Base64 of either alphabet, also unpadded or broken into lines.

    Return None if it is not Base64 of any kind.
    """
    # MIME encoders break lines after 76 characters, and some clients escape the breaks on the way.
    compact = re.sub(r"\s|%0[AaDd]|\\n", "", text).rstrip("=")
    standard = compact.replace("-", "+").replace("_", "/")
    try:
        # Without `validate` Python skips other characters, and would decode almost anything.
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def basic_payload(credentials: Credentials, encoding: BasicEncoding) -> bytes:
    """Return the octets that Basic encodes for these credentials (RFC 7617, 2; RFC 6749, 2.3.1)."""
    pair = (credentials.client_id, credentials.client_secret)
    if encoding == "form":
        pair = (urllib.parse.quote_plus(pair[0]), urllib.parse.quote_plus(pair[1]))
    if encoding == "base64":
        pair = (_base64(pair[0]), _base64(pair[1]))
    # A client_id or a secret from a command line may have lone surrogates.
    return ":".join(pair).encode("utf-8", "surrogatepass")


def _base64(text: str) -> str:
    """Return a string of Base64."""
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def from_base64(text: str) -> str:
    """Return the text that a string of Base64 encodes; the string itself if it is not Base64."""
    decoded = decode_leniently(text)
    return text if decoded is None else decoded.decode("utf-8", "replace")


def carries(decoded: bytes | None, credentials: Credentials, encoding: BasicEncoding) -> bool:
    """Return whether the decoded Basic credentials are these credentials.

    Form-urlencoding has several spellings: `~` may be encoded, and a space is `+` or `%20`.
    """
    if decoded is None:
        return False
    if encoding != "form":
        return same_text(decoded, basic_payload(credentials, encoding))
    client_id, colon, secret = decoded.decode("utf-8", "replace").partition(":")
    pair = f"{urllib.parse.unquote_plus(client_id)}:{urllib.parse.unquote_plus(secret)}"
    # Decoding alone would accept raw credentials: unquote_plus leaves unencoded characters alone.
    is_plain = decoded.isascii() and bool(colon) and not _UNENCODED.search(decoded)
    return is_plain and same_text(pair, f"{credentials.client_id}:{credentials.client_secret}")
