"""Tokens that programs change on their way: the token that was issued, and what arrived instead.

The hints quote no part of a token, except for one character of punctuation at which it was cut.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote, unquote, unquote_plus

__all__ = ["altered_token"]

_TOO_SHORT = 2
"""The length below which a token is part of another string by chance."""

# The more specific first. An alteration that leaves the token unchanged explains nothing.
_ALTERATIONS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("the token was bytes, written as b'…': decode it to a string", lambda t: repr(t.encode())),
    ("the token has quotes around it: was it written as JSON?", lambda t: f'"{t}"'),
    ("the token has quotes around it: was it written by repr()?", repr),
    ("the quotes or white space around the token are missing", lambda t: t.strip("\"' ")),
    ("the token is in lower case; send it as provided", str.lower),
    ("the token is in upper case; send it as provided", str.upper),
    ("the token was percent-encoded; send it as provided", quote),
    ("the token was percent-encoded; send it as provided", lambda t: quote(t, safe="")),
    ("the token was percent-decoded; send it as provided", unquote),
    ("the token was form-decoded: each + became a space", unquote_plus),
    # Only what comes after a space is compared with the token.
    ("the token was form-decoded: each + became a space", lambda t: t.rpartition("+")[2]),
    (
        "the token was encoded in Base64; send it as provided",
        lambda t: base64.b64encode(t.encode()).decode(),
    ),
    ("the = at the end of the token is missing: it is not Base64 padding", lambda t: t.rstrip("=")),
    ("the - and _ of the token became + and /", lambda t: t.replace("-", "+").replace("_", "/")),
    ("the + and / of the token became - and _", lambda t: t.replace("+", "-").replace("/", "_")),
)


def altered_token(issued: str, presented: str) -> str:
    """Return how the token was changed before it was presented; empty if that is unknown."""
    if presented == issued:
        return ""
    for hint, alteration in _ALTERATIONS:
        if alteration(issued) == presented:
            return hint
    if presented in {"None", "null", "undefined", "nil", "NaN"}:
        return f"the token is the word {presented!r}: the access_token was not found, or not read"
    return _as_number(issued, presented) or _cut(issued, presented)


def _as_number(issued: str, presented: str) -> str:
    """Recognize a token that was read as a number and written again."""
    try:
        is_same = float(issued) == float(presented)
    except ValueError:
        return ""
    return "the token was read as a number, and written in another form" if is_same else ""


def _cut(issued: str, presented: str) -> str:
    """Recognize a token of which only the beginning or the end is left."""
    if not presented or len(presented) >= len(issued):
        return ""
    if issued.startswith(presented):
        after = issued[len(presented)]
        if after.isalnum():
            is_enough = len(presented) >= _TOO_SHORT
            return f"the token was cut after {len(presented)} characters" if is_enough else ""
        return f"the token was cut at its {after!r}: it is not a list of parts"
    before = issued[-len(presented) - 1]
    if issued.endswith(presented) and not before.isalnum():
        return f"what comes before a {before!r} of the token is missing: it is not a list of parts"
    return ""
