"""Characters that word processors, web pages and chat programs put in place of others.

They look like quotes, dashes and blanks, but no shell and no parser takes them for those.
"""

from __future__ import annotations

import re

__all__ = [
    "DASHES",
    "QUOTES",
    "TYPOGRAPHIC_QUOTES",
    "as_utf_8",
    "plain_blanks",
    "without_hidden",
    "without_invisible",
]

# Escaped, because they are hard to distinguish in an editor.
TYPOGRAPHIC_QUOTES = (
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u00b4"
)
"""Quotation marks of word processors."""
QUOTES = "\"'`" + TYPOGRAPHIC_QUOTES
"""Every quotation mark, those of programs first."""
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
"""Dashes of word processors."""

_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Zero-width characters, soft hyphens, marks of direction, and the byte order mark.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def as_utf_8(text: str) -> str:
    """Return a string that was decoded as Latin-1 as UTF-8, if it is that.

    Header fields and bodies are held as Latin-1, which loses no byte.
    """
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def plain_blanks(text: str) -> str:
    """Return the string with each blank of typography as an ordinary one."""
    return _BLANKS.sub(" ", text)


def without_invisible(text: str) -> str:
    """Return the string without characters that no editor shows."""
    return _INVISIBLE.sub("", text)


def without_hidden(text: str) -> str:
    """Return the string without invisible characters and without blanks of typography."""
    return without_invisible(_BLANKS.sub("", text))
