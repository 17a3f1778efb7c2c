"""The value of an Authorization header for Basic, read with its mistakes undone.

Clients make several mistakes at once. Each step undoes one of them and names it, until the value
is right or no step fits. What is left is the pair of id and secret that the client meant.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from mockbroker.contract.authentication.decoded_octets import (
    HEXADECIMAL,
    IsRight,
    is_text,
    pair_in_digits,
    read_octets,
)
from mockbroker.model.authorization import decode_leniently
from mockbroker.model.typography import QUOTES, as_utf_8, without_hidden

__all__ = ["HeaderValue", "read_credentials", "read_scheme"]


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
    if octets is None or not (is_text(octets) and b":" in octets):
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
    reading = read_octets(octets, is_right)
    return HeaderValue((*mistakes, *reading.mistakes), reading.octets, reading.is_final, text)


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
    inner = pair_in_digits(text.strip())
    return (HEXADECIMAL, base64.b64encode(inner).decode()) if inner else None


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
