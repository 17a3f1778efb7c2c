"""Masking: the replacement of secrets and tokens in strings that are printed or stored.

A string is searched as it is and with its encodings undone: percent-encoding, escapes of JSON and
Python, entities of HTML, line breaks, UTF-8 that was read as Latin-1, Base64 and hexadecimal
digits, also one within another. A secret or a token in a decoded form is mapped back to its part of
the original string, and that part is replaced.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import re
import sys
import unicodedata
import urllib.parse
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate

from mockbroker.model.credentials import Credentials
from mockbroker.model.value_index import ValueIndex, index_of

__all__ = [
    "Mask",
    "header_name",
    "mask",
    "mask_body",
    "mask_parameters",
    "mask_to_length",
    "method_name",
    "quoted",
    "scheme_name",
    "secret_forms",
    "shown",
]

Mask = Callable[[str], str]
"""A function that replaces the secrets and tokens in a string."""

# Shorter forms occur in ordinary text by chance; masking them would make a report unreadable.
_MIN_FORM_LENGTH = 4
# Other providers have other names: clientSecret, corpsecret, secret_key, password.
_NAME = (
    r"(?:secret(?:(?:_|%5F|-)?key)?|pass(?:word|wd|phrase)"
    r"|client(?:_|%5F)assertion|(?:access|refresh)(?:_|%5F)token)"
)
# By name, because a value may be unknown to the broker: a client may send a secret of another
# environment by mistake, and that must not be printed either.
_SECRET_PARAMETER = re.compile(
    rf"({_NAME}(?:=|%3D))[^&\s]+"
    rf"|({_NAME}(?:\"\s*:\s*\"|%22(?:\s|%20|\+)*(?::|%3A)(?:\s|%20|\+)*%22))"
    r"(?:(?!%22)[^\"\\]|\\.)*",
    re.IGNORECASE,
)

# Both numbers bound the cost: each Base64 layer is tried at four alignments, so a third one would
# multiply it again.
# How many nested encodings are undone, and how many of them may be Base64 or hexadecimal.
_MAX_DEPTH = 5
_MAX_DECODINGS = 2

# Long strings are cut for print. This many characters beyond the cut are searched first, so that a
# secret at the cut is masked as a whole, in any encoding.
_MARGIN = 16 * 1024
_MAX_QUOTED = 100

_SECRET, _TOKEN = "<secret>", "<token>"
_MASKED = "<masked>"
_KEY_HEADER_OCTETS = 36
_KEY_PIECE = 20
"""The pieces of a private key that are searched for, in characters of Base64: 15 octets do not
occur by chance, and the shortest private number has 32."""
# Separates the parts of a joined view; no value that is searched for has it.
_SEPARATOR = "\uffff"

_NARROW, _WIDE = ("latin-1", "cp1252", "ascii"), ("utf-16-le", "utf-16-be")
# Loaded now: Python imports a codec at its first use, which needs a file descriptor, and a server
# may have none left then.
for _charset in (*_NARROW, *_WIDE, "utf-16"):
    codecs.lookup(_charset)

# In this order: percent-encoding, also that of JavaScript's `escape`; escapes of Python and JSON;
# entities of HTML; line breaks and the indentation after them; UTF-8 read as Latin-1; halves of a
# surrogate pair. NUL counts as a line break, because UTF-16 read as Latin-1 is full of it.
_ESCAPED = re.compile(
    r"%u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}"
    r"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|U[0-9A-Fa-f]{8}|[\\/\"'bfnrt])"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    r"|[\r\n\0]+[ \t]*"
    r"|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
    r"|[\ud800-\udbff][\udc00-\udfff]"
)
_LETTER_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class _View:
    """A string as it is or with encodings undone.

    ``place`` maps a part of it to the part of the original string from which it was decoded. In a
    view that is ``encoded`` (Base64 or hexadecimal), credentials are masked with their client_id.

    Views form a chain: the place in a decoded view is mapped through each view before it.
    """

    text: str
    place: Callable[[int, int], tuple[int, int]]
    encoded: bool = False

    def part(self, start: int, end: int) -> _View:
        """Return a part as a separate view."""

        def place(first: int, last: int) -> tuple[int, int]:
            return self.place(start + first, start + last)

        return _View(self.text[start:end], place, self.encoded)


@dataclass(frozen=True, slots=True)
class _Known:
    """The values to mask: secrets alone, secrets with their client_id, and tokens."""

    secrets: ValueIndex[None]
    pairs: ValueIndex[None]
    tokens: ValueIndex[object]

    def indexes(self, view: _View) -> Iterator[tuple[ValueIndex[None] | ValueIndex[object], str]]:
        """Yield each index to search a view with, and the name that replaces its matches."""
        # Only decoded Basic credentials have id and secret as one unit. In plain text the client_id
        # is not secret, and reports need it.
        yield self.pairs if view.encoded else self.secrets, _SECRET
        yield self.tokens, _TOKEN

    @property
    def shortest_encoded(self) -> int:
        """The length of the shortest decoded string that can hold a value; 0 without values."""
        lengths = (self.pairs.shortest_found, self.tokens.shortest_found)
        return min(filter(None, lengths), default=0)


def mask(text: str, credentials: Iterable[Credentials], token_values: Collection[str] = ()) -> str:
    """Return the string with every secret and every token replaced, in any usual encoding.

    The cost grows with the length of the string; it does not grow with the number of tokens if
    ``token_values`` is a ValueIndex.
    """
    registered = tuple(credentials)
    secrets, pairs = _indexes_of(registered, tuple(map(_key_of, registered)))
    known = _Known(secrets, pairs, index_of(token_values))
    # All matches are collected first: those of different views overlap, and the first replaced
    # would shift the places of the others.
    hidden = sorted(_hidden_in(_View(text, lambda start, end: (start, end)), known, _MAX_DEPTH, 0))
    parts, seen = [], 0
    for start, end, name in _merged(hidden):
        parts += [text[seen:start], name]
        seen = end
    return "".join(parts) + text[seen:]


def mask_to_length(text: str, mask: Mask, longest: int) -> str:
    """Mask a string and its parameters, and cut it to at most ``longest`` characters.

    A string that was cut ends in an ellipsis. A secret at the cut is masked as well. The cost does
    not grow with the length beyond the cut.
    """
    # Parameters first: their values then need no search.
    masked = mask(mask_parameters(text[: longest + _MARGIN]))
    if len(text) > longest + _MARGIN:
        # The end of the searched part may cut a secret in two; that secret lies in the margin.
        searched = masked if masked.endswith(_MASKED) else masked[:-_MARGIN]
        return searched[:longest] + "…"
    return masked if len(masked) <= longest else masked[:longest] + "…"


def mask_body(body: bytes, mask: Mask, longest: int) -> str:
    """Mask a body and cut it, as `mask_to_length` does."""
    window = 4 * (longest + _MARGIN + 1)  # no character has more than four bytes
    return mask_to_length(body[:window].decode("utf-8", "replace"), mask, longest)


def quoted(text: str) -> str:
    """Return the repr of a string, or only the length of a long one.

    Masking cannot recognise half of a secret. Therefore no string is cut before it is masked.
    """
    return repr(text) if len(text) <= _MAX_QUOTED else _size(text)


def shown(text: str) -> str:
    """Return the string, or only the length of a long one, for the same reason as `quoted`."""
    return text if len(text) <= _MAX_QUOTED else _size(text)


def _size(text: str) -> str:
    """Return what stands for a string that is not shown."""
    return f"a string of {len(text)} characters"


def method_name(method: str) -> str:
    """Return the method if it has the form of one, or only its length: it may hold a secret."""
    return method if _METHOD_NAME.fullmatch(method) else _size(method)


def header_name(name: str) -> str:
    """Return the name of a header field if it has the form of one, or only its length."""
    return name if _HEADER_NAME.fullmatch(name) else _size(name)


def scheme_name(scheme: str) -> str:
    """Return the authentication scheme if it has the form of one: it may be part of a secret."""
    return scheme if not scheme or _SCHEME_NAME.fullmatch(scheme) else "(unknown)"


# It fits the schemes that are registered with IANA, the one of AWS, and invented ones such as
# API-KEY_1. Digits may stand at the end only: inside a word they are the sign of a secret.
_SCHEME_NAME = re.compile(
    r"[A-Za-z]{1,12}(?:[-_][A-Za-z]{1,9})?(?:[-_]?[0-9]{1,2})?|AWS4-HMAC-SHA256|SCRAM-SHA-(?:1|256)"
)

# Short words of letters: long enough for every registered method, too short for most secrets.
_METHOD_NAME = re.compile(r"[A-Za-z-]{1,20}")
# The longest known name is X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-Md5.
_HEADER_NAME = re.compile(r"[A-Za-z0-9_-]{1,58}")

_Hidden = tuple[int, int, str]


def _merged(hidden: Sequence[_Hidden]) -> Iterator[_Hidden]:
    """Yield the parts to mask, with overlapping parts joined under the name of the longer one.

    ``hidden`` must be sorted by where its parts begin.
    """
    current: _Hidden | None = None
    for part in hidden:
        if current is None or part[0] >= current[1]:
            if current is not None:
                yield current
            current = part
        else:
            name = max(current, part, key=lambda each: each[1] - each[0])[2]
            current = (current[0], max(current[1], part[1]), name)
    if current is not None:
        yield current


def _hidden_in(view: _View, known: _Known, depth: int, decodings: int) -> Iterator[_Hidden]:
    """Yield the parts of the original string that this view, or a decoding of it, has to mask.

    ``depth`` is how many more encodings may be undone. ``decodings`` is how many of those undone so
    far were Base64 or hexadecimal.
    """
    for index, name in known.indexes(view):
        for match in index.find(view.text):
            yield (*view.place(match.start, match.end), name)
    shortest = known.shortest_encoded
    # Decoding is the costly part, and without values it can find nothing.
    if not depth or not shortest:
        return
    # Noise is left out: undoing escapes in it would cost much and find them by chance.
    part = _readable(view, shortest) if view.encoded else view
    unescaped = _unescaped(part)
    if unescaped is not None:
        yield from _hidden_in(unescaped, known, depth - 1, decodings)
    if decodings < _MAX_DECODINGS:
        for decoded in _decoded(part, shortest):
            yield from _hidden_in(decoded, known, depth - 1, decodings + 1)


def _readable(view: _View, shortest: int) -> _View:
    """Return the parts without control characters, joined.

    Text that is decoded as Base64 by mistake gives noise full of control characters.
    """
    readable = re.compile(rf"[^\x01-\x08\x0b\x0c\x0e-\x1f\x7f]{{{shortest},}}")
    return _joined([view.part(*found.span()) for found in readable.finditer(view.text)])


def _joined(parts: Sequence[_View]) -> _View:
    """Join encoded views: a few long views cost much less than many short ones."""
    # The separator keeps a value from being found across two parts that do not touch.
    starts = [0, *accumulate(len(part.text) + len(_SEPARATOR) for part in parts)]

    def place(start: int, end: int) -> tuple[int, int]:
        # A binary search: there may be thousands of parts, and `place` is called for each match.
        number = bisect_right(starts, start, hi=len(parts)) - 1
        part, first = parts[number], starts[number]
        return part.place(start - first, min(end - first, len(part.text)))

    return _View(_SEPARATOR.join(part.text for part in parts), place, encoded=True)


def _unescaped(view: _View) -> _View | None:
    """Return the view with one layer of escapes undone and without line breaks.

    Return None if it has neither.
    """
    text, count = _ESCAPED.subn(lambda found: _plain(found[0]), view.text)
    if not count:
        return None

    # Computed only when needed: most strings have nothing to mask.
    @cache
    def origins() -> tuple[list[int], list[int]]:
        return _origins(view.text)

    def place(start: int, end: int) -> tuple[int, int]:
        starts, ends = origins()
        return view.place(starts[start], ends[end - 1])

    return _View(text, place, view.encoded)


def _origins(text: str) -> tuple[list[int], list[int]]:
    """Return, for each unescaped character, where its source in the string begins and ends."""
    starts: list[int] = []
    ends: list[int] = []

    def keep(start: int, end: int) -> None:
        """Map the characters between two escapes to themselves."""
        starts.extend(range(start, end))
        ends.extend(range(start + 1, end + 1))

    position = 0
    for found in _ESCAPED.finditer(text):
        keep(position, found.start())
        plain = _plain(found[0])
        starts.extend([found.start()] * len(plain))
        ends.extend([found.end()] * len(plain))
        position = found.end()
    keep(position, len(text))
    return starts, ends


# Cached: a body of percent signs has the same few escapes thousands of times.
@lru_cache(maxsize=1024)
def _plain(escape: str) -> str:
    """Return the characters of an escape: none for a line break, itself if it is invalid."""
    first, second = escape[0], escape[1:2]
    if first == "&":
        return html.unescape(escape)
    if first in "\r\n\0":
        return ""
    if first == "%" or (first == "\\" and second in {"u", "x", "U"}):
        # Percent-encoded bytes become Latin-1 characters here. UTF-8 sequences among them are
        # undone by the next layer, as UTF-8 that was read as Latin-1.
        number = int(escape.lstrip("%\\uxU"), 16)
        return chr(number) if number <= sys.maxunicode else escape
    if first == "\\":
        return _LETTER_ESCAPES.get(second, second)
    if first >= "\ud800":
        return escape.encode("utf-16", "surrogatepass").decode("utf-16")
    try:
        return escape.encode("latin-1").decode()
    except UnicodeDecodeError:
        return escape


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of a view that may be Base64 or hexadecimal; its padding ends at ``padded``."""

    view: _View
    start: int
    end: int
    padded: int

    def from_base64(self, skipped: int) -> _View:
        """Decode it as Base64 without its first ``skipped`` characters."""
        start = self.start + skipped
        return self._decoded(start, _from_base64(self.view.text[start : self.end]), (4, 3))

    def from_hexadecimal(self, skipped: int) -> _View:
        """Decode it as hexadecimal digits without the first ``skipped`` ones."""
        start = self.start + skipped
        digits = self.view.text[start : self.end]
        return self._decoded(start, bytes.fromhex(digits[: len(digits) // 2 * 2]), (2, 1))

    def _decoded(self, begin: int, octets: bytes, ratio: tuple[int, int]) -> _View:
        """Return the view of octets decoded from ``begin`` on.

        ``ratio`` is how many characters encode how many octets.
        """
        characters, count = ratio

        def place(start: int, end: int) -> tuple[int, int]:
            # Rounded outwards: a character that encodes a part of the secret and a part of its
            # neighbour is masked as well.
            last = begin - (-end * characters // count)
            first = begin + start * characters // count
            return self.view.place(first, self.padded if last >= self.end else last)

        return _View(octets.decode("latin-1"), place, encoded=True)


def _decoded(view: _View, shortest: int) -> Iterator[_View]:
    """Yield the runs of the view decoded as Base64 and as hexadecimal digits.

    An encoded value may begin at any character of a run, so each alignment is tried.
    """
    base64_run = re.compile(rf"([A-Za-z0-9+/_-]{{{-(-shortest * 4 // 3)},}})={{0,2}}")
    runs = [_Run(view, *found.span(1), found.end()) for found in base64_run.finditer(view.text)]
    for skipped in range(4) if runs else ():
        yield _joined([run.from_base64(skipped) for run in runs])
    hexadecimal = re.compile(rf"[0-9A-Fa-f]{{{2 * shortest},}}")
    runs = [_Run(view, *found.span(), found.end()) for found in hexadecimal.finditer(view.text)]
    for skipped in range(2) if runs else ():
        yield _joined([run.from_hexadecimal(skipped) for run in runs])


def _from_base64(text: str) -> bytes:
    """Decode unpadded Base64 of either alphabet, without a last character that is incomplete."""
    standard = text.replace("-", "+").replace("_", "/")
    # One character carries six bits, too few for an octet; Python raises for it.
    standard = standard[: len(standard) - (len(standard) % 4 == 1)]
    return binascii.a2b_base64(standard + "=" * (-len(standard) % 4))


# Each request masks several strings for the same clients, and making the forms of a secret takes
# longer than a search. The key is the tuple of credentials, so a new secret has a new entry.
@lru_cache(maxsize=64)
def _indexes_of(
    credentials: tuple[Credentials, ...], private_keys: tuple[str, ...]
) -> tuple[ValueIndex[None], ValueIndex[None]]:
    """Return an index of the secrets, and one of the secrets alone and with their client_id.

    Both have the private keys, which do not count when credentials are compared.
    """
    secrets: ValueIndex[None] = ValueIndex()
    pairs: ValueIndex[None] = ValueIndex()
    for key in filter(None, private_keys):
        secrets.put(key, None)
        pairs.put(key, None)
    for pair in credentials:
        for secret in _decoded_forms(pair.client_secret):
            secrets.put(secret, None)
            pairs.put(secret, None)
            pairs.put(f"{pair.client_id}:{secret}", None)
    return secrets, pairs


def _key_of(credentials: Credentials) -> str:
    """Return the Base64 of a client's private key; empty if it has none."""
    lines = credentials.private_key.splitlines()
    # Views have no line breaks (see `_ESCAPED`), so the value must have none either.
    return "".join(line for line in lines if "-----" not in line)


def _forms_of_key(credentials: Credentials) -> set[str]:
    """Return pieces of a client's private key, of which PEM and a JWK of it have some.

    Each number of a JWK is a part of the PEM's octets, in Base64 of its own. So that Base64 begins
    at one of three places in a group of three octets.
    """
    # What precedes the private number is the same for all keys of a type.
    octets = base64.b64decode(_key_of(credentials))[_KEY_HEADER_OCTETS:]
    parts = [octets]
    for public in _public_numbers(credentials.public_keys):
        parts = [piece for part in parts for piece in part.split(public)]
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    texts = [
        encode(part[start : start + (len(part) - start) // 3 * 3]).decode()
        for part in parts
        for start in range(3)
        for encode in encoders
    ]
    return {
        text[begin : begin + _KEY_PIECE]
        for text in texts
        for begin in range(0, len(text) - _KEY_PIECE + 1, _KEY_PIECE)
    }


def _public_numbers(public_keys: str) -> Iterator[bytes]:
    """Yield the numbers of a JWK Set, which the private key has as well. They are public."""
    for jwk in json.loads(public_keys)["keys"]:
        for name in {"n", "x", "y"} & set(jwk):
            yield base64.urlsafe_b64decode(jwk[name] + "==")


def _decoded_forms(secret: str) -> set[str]:
    """Return the forms that a decoded secret can have, for each charset that was assumed."""
    narrow = {secret.encode(charset, "replace") for charset in _NARROW}
    wide = {secret.encode(charset, "surrogatepass") for charset in _WIDE}
    texts = {secret, *(unicodedata.normalize(form, secret) for form in ("NFC", "NFD"))}
    texts |= {octets.decode("latin-1") for octets in narrow | wide}
    texts |= {octets.decode("utf-8", "replace") for octets in narrow}
    # A client that drops other characters still sends most of such a secret.
    if _is_mostly_ascii(secret):
        texts |= {
            octets.decode("ascii", "ignore")
            for octets in (*narrow, secret.encode("utf-8", "replace"))
        }
    # Views have no line breaks (see `_ESCAPED`), so the values must have none either.
    texts |= {re.sub(r"[\r\n\0]+[ \t]*", "", text) for text in texts}
    # In a form a blank is a plus sign.
    return {text for each in texts for text in (each, each.replace(" ", "+")) if text}


def _is_mostly_ascii(secret: str) -> bool:
    """Return whether at least three quarters of the characters are ASCII.

    The rest of any other secret would be so short that it occurs in ordinary text.
    """
    return sum(map(str.isascii, secret)) * 4 >= len(secret) * 3


def mask_parameters(text: str) -> str:
    """Replace the value of each parameter for a secret or token, in a form or in JSON.

    It needs no known values, and therefore also masks those of another environment.
    """
    # Each parameter has one of these; looking for them takes less than the pattern, and most paths
    # have none.
    has_mark = "=" in text or "%" in text or '"' in text
    return _SECRET_PARAMETER.sub(rf"\1\2{_MASKED}", text) if has_mark else text


def secret_forms(pair: Credentials) -> list[str]:
    """Return the secret in its usual encodings, alone and with the client_id, longest first.

    Forms that are too short to be recognised are left out.

    It serves code that searches for leaks in files or output; `mask` itself undoes encodings.
    """
    secret = pair.client_secret
    octets = secret.encode("utf-8", "surrogatepass")
    quoted = (urllib.parse.quote(octets, safe=""), urllib.parse.quote_plus(octets))
    plain = (*quoted, secret, repr(secret)[1:-1])
    quoted_id = urllib.parse.quote_plus(pair.client_id.encode("utf-8", "surrogatepass"))
    texts = [f"{pair.client_id}:{secret}", f"{quoted_id}:{quoted[1]}", secret] if secret else []
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    encoded = [
        encode(text.encode("utf-8", "surrogatepass")).decode()
        for text in texts
        for encode in encoders
    ]
    keys = _forms_of_key(pair) if pair.private_key else ()
    forms = {form for form in (*plain, *encoded, *keys) if len(form) >= _MIN_FORM_LENGTH}
    return sorted(forms, key=lambda form: (-len(form), form))
