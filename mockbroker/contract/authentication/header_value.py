"""The value of an Authorization header for Basic, read with its mistakes undone.

Clients make several mistakes at once. Each step undoes one of them and names it, until the value
is right or no step fits. What is left is the pair of id and secret that the client meant.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from mockbroker.model.authorization import decode_leniently
from mockbroker.model.typography import QUOTES, as_utf_8, without_hidden, without_invisible

__all__ = ["HeaderValue", "read_credentials", "read_scheme"]

IsRight = Callable[[bytes], bool]
"""Return whether octets are the credentials of a registered client."""

_BRACKETS = {"<": ">", "[": "]", "{": "}", "(": ")"}
_BYTES_REPR = re.compile(r"""[bB](['"])(.*)\1""")
_MOST_STEPS = 8


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """What the credentials of a header mean.

    ``mistakes`` are hints, in the order in which the mistakes were undone. ``octets`` are the
    decoded credentials without those mistakes, None if they cannot be read. ``is_final`` says that
    the mistakes explain everything: the octets hold no pair that could be compared.
    ``encoded`` is the Base64 text without the mistakes around it.
    """

    mistakes: tuple[str, ...]
    octets: bytes | None
    is_final: bool = False
    encoded: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """The id and the secret, divided at the first colon (RFC 7617, 2)."""
        client_id, _, secret = (self.octets or b"").decode("utf-8", "replace").partition(":")
        return client_id, secret


# The scheme


def read_scheme(value: str) -> tuple[str, str] | None:
    """Return the mistake around the word Basic, empty without one, and what follows the word.

    Return None if the value does not begin with that word, however it is written.
    """
    text, mistake = as_utf_8(value).strip(), ""
    named = re.match(r"authorization\s*[:=]\s*", text, re.IGNORECASE)
    if named:
        text, mistake = text[named.end() :], "the value repeats the name of the header"
    if len(text) > 1 and text[0] in QUOTES and text[-1] in QUOTES:
        text, mistake = text[1:-1].strip(), "there are quotes around the value of the header"
    found = re.match(r"(\W{0,3})basic((?:[\s:=,;\"'\])}>+-]|%20)*)", text, re.IGNORECASE)
    if not found:
        return None
    rest, between = text[found.end() :], found[2]
    if found[1]:
        mistake = mistake or "characters stand before the word `Basic`"
        rest = rest.rstrip("])}>,\"'")
    if not between and rest:
        return _joined_to_basic(rest, mistake)
    if mistake or not between.strip(" "):
        return mistake, rest
    name = _SEPARATORS.get(between[0], "a character")
    return f"{name} follows the word `Basic`; expected one space", rest


_SEPARATORS = {
    ":": "a colon",
    "=": "an equals sign",
    ",": "a comma",
    "\t": "a tab",
    "%": "a percent-encoded blank",
    "+": "a plus sign",
    "\u00a0": "a non-breaking space",
}


def _joined_to_basic(rest: str, mistake: str) -> tuple[str, str] | None:
    """Return the mistake if Base64 follows the word at once; otherwise it is another word."""
    octets = decode_leniently(rest)
    if octets is None or not (_is_text(octets) and b":" in octets):
        return None
    return mistake or "the space after the word `Basic` is missing", rest


# The Base64 text


def read_credentials(encoded: str, is_right: IsRight) -> HeaderValue:
    """Return what follows the word Basic, with the mistakes in it undone."""
    mistakes: list[str] = []
    text = encoded
    for _ in range(_MOST_STEPS):
        octets = decode_leniently(text)
        if octets is not None and is_right(octets):
            return HeaderValue(tuple(mistakes), octets, encoded=text)
        step = next(filter(None, (each(text) for each in _TEXT_STEPS)), None)
        if step is None:
            break
        mistakes.append(step[0])
        text = step[1]
    octets = decode_leniently(text) if text.strip() else None
    if octets is None:
        return _not_base64(text, mistakes, is_right)
    return replace(_read_octets(octets, mistakes, is_right), encoded=text)


def _quoted(text: str) -> tuple[str, str] | None:
    """Undo quotes around the Base64 text."""
    stripped = text.strip().strip(QUOTES)
    # Header fields hold UTF-8 as Latin-1, so typographic quotes arrive as three characters.
    stripped = re.sub(r"^(?:\xe2\x80[\x98-\x9f])+|(?:\xe2\x80[\x98-\x9f])+$", "", stripped)
    if stripped == text.strip():
        return None
    return "there are quotes around the Base64 text", stripped


def _bytes_repr(text: str) -> tuple[str, str] | None:
    """Undo Python's way to write bytes."""
    found = _BYTES_REPR.fullmatch(text.strip())
    return ("the Base64 text was bytes, written as b'…': decode it", found[2]) if found else None


def _second_basic(text: str) -> tuple[str, str] | None:
    """Undo a second word Basic."""
    found = re.match(r"\s*(basic|auth\w*)[\s:]+", text, re.IGNORECASE)
    if not found:
        return None
    word = found[1].lower()
    hint = "the word `Basic` occurs twice" if word == "basic" else "a further word follows `Basic`"
    return hint, text[found.end() :]


def _bracketed(text: str) -> tuple[str, str] | None:
    """Undo brackets around the Base64 text."""
    whole = text.strip()
    if whole[:1] in _BRACKETS and whole.endswith(_BRACKETS[whole[0]]):
        return "there are brackets around the Base64 text", whole[1:-1]
    return None


def _percent(text: str) -> tuple[str, str] | None:
    """Undo percent-encoding of the Base64 text."""
    if not re.search(r"%(?:2[BFbf]|3[Dd]|0[AaDd])", text):
        return None
    return "the Base64 text was percent-encoded; send it as it is", unquote(text)


def _entities(text: str) -> tuple[str, str] | None:
    """Undo entities of HTML in the Base64 text."""
    plain = html.unescape(text)
    return None if plain == text else ("the Base64 text has entities of HTML", plain)


def _escapes(text: str) -> tuple[str, str] | None:
    """Undo escapes of JSON in the Base64 text."""
    if not re.search(r"\\(?:u003[dD]|u002[bBfF]|/|=|[rn])", text):
        return None
    plain = re.sub(r"\\u00([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)
    plain = re.sub(r"\\[rn]", "", plain).replace("\\", "")
    return "the Base64 text has escapes of JSON or of a shell (a backslash)", plain


def _trailing(text: str) -> tuple[str, str] | None:
    """Undo punctuation after the Base64 text."""
    if len(text) > 1 and text.rstrip()[-1:] in {",", ";", "."}:
        return "punctuation follows the Base64 text", text.rstrip()[:-1]
    return None


def _hidden(text: str) -> tuple[str, str] | None:
    """Undo invisible characters in the Base64 text."""
    plain = without_hidden(as_utf_8(text))
    if plain == text or not plain.isascii():
        return None
    return "the Base64 text has invisible characters: was it copied from a page?", plain


def _digits(text: str) -> tuple[str, str] | None:
    """Undo hexadecimal digits in place of Base64."""
    inner = _pair_in_digits(text.strip())
    return (_HEXADECIMAL, base64.b64encode(inner).decode()) if inner else None


_Step = Callable[[str], "tuple[str, str] | None"]
_TEXT_STEPS: tuple[_Step, ...] = (
    _digits,
    _bytes_repr,
    _hidden,
    _quoted,
    _second_basic,
    _bracketed,
    _entities,
    _escapes,
    _percent,
    _trailing,
)


def _not_base64(text: str, mistakes: list[str], is_right: IsRight) -> HeaderValue:
    """Return what a string that is not Base64 means, such as credentials as they are."""
    plain = text.strip()
    for charset in ("latin-1", "utf-8"):
        octets = plain.encode(charset, "replace")
        # A colon never occurs in Base64, in either alphabet.
        if b":" in octets or is_right(octets):
            mistake = (
                "the credentials are not encoded: Basic takes Base64 of client_id:client_secret"
            )
            return HeaderValue((*mistakes, mistake), octets)
    if not plain:
        mistake = "nothing follows the word `Basic`: were the credentials set?"
    elif re.fullmatch(r"[A-Za-z0-9+/_-]+=*", plain):
        # Groups of four characters encode three octets, so one character alone is left over.
        mistake = (
            "the Base64 text is incomplete: one character at least is missing, or one too many"
        )
    else:
        mistake = "what follows `Basic` is not Base64 of client_id:client_secret"
    return HeaderValue((*mistakes, mistake), None, is_final=True)


# The decoded octets


def _read_octets(octets: bytes, mistakes: list[str], is_right: IsRight) -> HeaderValue:
    """Return the decoded octets, with the mistakes in them undone."""
    # Each step leaves fewer octets, or a pair with a colon, so that the loop ends.
    while not is_right(octets):
        end = next(filter(None, (each(octets) for each in _ENDS)), "")
        if end:
            return HeaderValue((*mistakes, end), octets, is_final=True)
        step = next(filter(None, (each(octets) for each in _OCTET_STEPS)), None)
        if step is None:
            break
        mistakes.append(step[0])
        octets = step[1]
    return HeaderValue(tuple(mistakes), octets)


def _is_text(octets: bytes) -> bool:
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
    if not _is_text(inner) or b":" not in inner:
        return None
    return "the credentials are encoded twice: encode them to Base64 once", inner


_SHORTEST_ENCODED = 4


def _hexadecimal(octets: bytes) -> tuple[str, bytes] | None:
    """Undo hexadecimal digits within Base64."""
    inner = _pair_in_digits(octets.decode("latin-1").strip())
    return (_HEXADECIMAL, inner) if inner else None


_HEXADECIMAL = "the credentials are encoded in hexadecimal (hex); Basic takes Base64"


def _pair_in_digits(digits: str) -> bytes | None:
    """Return the pair that hexadecimal digits hold, or None."""
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){3,}", digits):
        return None
    inner = bytes.fromhex(digits)
    return inner if _is_text(inner) and b":" in inner else None


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
