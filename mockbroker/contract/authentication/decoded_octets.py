"""The octets that an Authorization header for Basic decodes to, with their mistakes undone."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from mockbroker.model.typography import without_hidden, without_invisible

__all__ = [
    "HEXADECIMAL",
    "IsRight",
    "OctetsReading",
    "is_text",
    "pair_in_digits",
    "read_octets",
]

IsRight = Callable[[bytes], bool]
"""Return whether octets are the credentials of a registered client."""


@dataclass(frozen=True, slots=True)
class OctetsReading:
    """What decoded octets mean; see `HeaderValue`, which has the same fields."""

    mistakes: tuple[str, ...]
    octets: bytes
    is_final: bool = False


def read_octets(octets: bytes, is_right: IsRight) -> OctetsReading:
    """Return the decoded octets, with the mistakes in them undone."""
    mistakes: list[str] = []
    # Each step leaves fewer octets, or a pair with a colon, so that the loop ends.
    while not is_right(octets):
        end = next(filter(None, (each(octets) for each in _ENDS)), "")
        if end:
            return OctetsReading((*mistakes, end), octets, is_final=True)
        step = next(filter(None, (each(octets) for each in _OCTET_STEPS)), None)
        if step is None:
            break
        mistakes.append(step[0])
        octets = step[1]
    return OctetsReading(tuple(mistakes), octets)


def is_text(octets: bytes) -> bool:
    """Return whether the octets are printable text in UTF-8; line breaks and tabs count."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return False
    return all(
        each.isprintable() or each in "\r\n\t" or not without_invisible(each) for each in text
    )


def _utf_16(octets: bytes) -> tuple[str, bytes] | None:
    """Undo UTF-16, which PowerShell and Windows call Unicode."""
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        charset = "utf-16"
    elif octets[1::2].count(0) * 4 > len(octets) and len(octets) % 2 == 0:
        charset = "utf-16-le"
    elif octets[::2].count(0) * 4 > len(octets) and len(octets) % 2 == 0:
        charset = "utf-16-be"
    else:
        return None
    hint = (
        "the credentials are encoded as UTF-16 (`Unicode` of PowerShell and .NET); encode them as "
        "UTF-8 before Base64"
    )
    return hint, octets.decode(charset, "replace").lstrip("\ufeff").encode("utf-8", "replace")


def _byte_order_mark(octets: bytes) -> tuple[str, bytes] | None:
    """Undo a byte order mark."""
    if not octets.startswith(b"\xef\xbb\xbf"):
        return None
    return "the credentials begin with a byte order mark: were they read from a file?", octets[3:]


def _line_feeds(octets: bytes) -> tuple[str, bytes] | None:
    """Undo line feeds at the end of the id or the secret."""
    client_id, colon, secret = octets.partition(b":")
    # Without a colon the whole text would be taken for the id.
    if colon and client_id.endswith((b"\n", b"\r")):
        part, plain = "an id", client_id.rstrip(b"\r\n") + colon + secret
    elif octets.endswith((b"\n", b"\r")):
        part, plain = "a secret", octets.rstrip(b"\r\n")
    else:
        return None
    hint = (
        f"the Authorization header decodes to {part} that ends in a line feed: was it built with "
        "`echo` instead of `printf`, or read from a file?"
    )
    return hint, plain


def _nul_at_end(octets: bytes) -> tuple[str, bytes] | None:
    """Undo NUL characters at the end, from buffers of a fixed length."""
    if not octets.endswith(b"\0"):
        return None
    return "the credentials end in a NUL character: was a buffer encoded?", octets.rstrip(b"\0")


def _invisible(octets: bytes) -> tuple[str, bytes] | None:
    """Undo invisible characters in the pair."""
    text = octets.decode("utf-8", "replace")
    plain = without_hidden(text)
    if plain == text or "\ufffd" in text:
        return None
    return (
        "there is an invisible character or a non-breaking space in the id or the secret: was it "
        "copied from a page?"
    ), plain.encode()


def _named_basic(octets: bytes) -> tuple[str, bytes] | None:
    """Undo the scheme or the name of the header within the encoded text."""
    found = re.match(rb"(?:authorization\s*:\s*)?basic[\s:]+", octets, re.IGNORECASE)
    if not found:
        return None
    hint = (
        "the word `Basic` was encoded together with the credentials; it stands before the Base64 "
        "text"
    )
    return hint, octets[found.end() :]


def _encoded_again(octets: bytes) -> tuple[str, bytes] | None:
    """Undo a second Base64 around the pair."""
    if b":" in octets or len(octets) < _SHORTEST_ENCODED:
        return None
    try:
        # Without `validate` other characters would be skipped, and the rest decoded.
        inner = base64.b64decode(octets.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not is_text(inner) or b":" not in inner:
        return None
    return "the credentials are encoded twice: encode them to Base64 once", inner


_SHORTEST_ENCODED = 4


def _hexadecimal(octets: bytes) -> tuple[str, bytes] | None:
    """Undo hexadecimal digits within Base64."""
    inner = pair_in_digits(octets.decode("latin-1").strip())
    return (HEXADECIMAL, inner) if inner else None


HEXADECIMAL = "the credentials are encoded in hexadecimal (hex); Basic takes Base64"


def pair_in_digits(digits: str) -> bytes | None:
    """Return the pair that hexadecimal digits hold, or None."""
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){3,}", digits):
        return None
    inner = bytes.fromhex(digits)
    return inner if is_text(inner) and b":" in inner else None


def _form(octets: bytes) -> tuple[str, bytes] | None:
    """Undo parameters of a form in place of the pair."""
    if not re.match(rb"[?&]?client_?id=[^:]*&", octets, re.IGNORECASE):
        return None
    named = {
        name.lower().replace("_", ""): value
        for name, value in parse_qsl(octets.decode("utf-8", "replace").lstrip("?&"))
    }
    pair = f"{named.get('clientid', '')}:{named.get('clientsecret', '')}"
    return (
        "the parameters of a form were encoded (client_id=…); encode client_id:client_secret alone"
    ), pair.encode()


def _separated(octets: bytes) -> tuple[str, bytes] | None:
    """Undo another separator than a colon."""
    text = octets.decode("utf-8", "replace")
    # Other characters may belong to a secret that was encoded alone.
    found = re.fullmatch(r"([\w.@+-]+)( ?[;,|\t\n] ?| +)([^\s;,|:]+)", text)
    if not found:
        return None
    name = {" ": "a blank", "\t": "a tab", "\n": "a line feed"}.get(
        found[2], f"`{found[2].strip()}`"
    )
    return f"id and secret are separated by {name}; a colon belongs there", (
        f"{found[1]}:{found[3]}".encode()
    )


def _in_url(octets: bytes) -> tuple[str, bytes] | None:
    """Undo a URL around the pair."""
    if not _URL.match(octets) or b"@" not in octets:
        return None
    try:
        parts = urlsplit(octets.decode("utf-8", "replace"))
    except ValueError:
        return None
    if parts.username is None or parts.password is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password)}"
    return "a URL was encoded in place of client_id:client_secret", pair.encode()


_URL = re.compile(rb"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_OctetStep = Callable[[bytes], "tuple[str, bytes] | None"]
_OCTET_STEPS: tuple[_OctetStep, ...] = (
    _utf_16,
    _byte_order_mark,
    _nul_at_end,
    _line_feeds,
    _named_basic,
    _in_url,
    _form,
    _encoded_again,
    _hexadecimal,
    _invisible,
    _separated,
)


def _is_url(octets: bytes) -> str:
    """Recognize a URL in place of the pair."""
    if not _URL.match(octets) or _in_url(octets):
        return ""
    return (
        "a URL was encoded in place of client_id:client_secret: are the settings in another order?"
    )


def _is_json(octets: bytes) -> str:
    """Recognize JSON in place of the pair."""
    if not octets.lstrip().startswith((b"{", b"[")):
        return ""
    try:
        json.loads(octets)
    except (ValueError, RecursionError):
        return ""
    return "JSON was encoded in place of client_id:client_secret"


def _is_token(octets: bytes) -> str:
    """Recognize a JWT in place of the pair, encoded once more or as it is."""
    is_jwt = octets.startswith(b"eyJ") or (octets.startswith(b'{"') and b'"alg"' in octets[:200])
    return "a token (JWT) was sent in place of client_id:client_secret" if is_jwt else ""


_ENDS: tuple[Callable[[bytes], str], ...] = (_is_token, _is_url, _is_json)
