"""Strategies for examples: credentials, tokens, lifetimes, steps of time.

Every strategy prefers values at which real clients have failed. Random values find what no list
contains.
"""

from __future__ import annotations

import string

from hypothesis import strategies as st

from mockbroker.model.credentials import Credentials

__all__ = [
    "B64TOKEN_ALPHABET",
    "LONG_LIFETIMES",
    "ascii_credentials",
    "b64tokens",
    "json_values",
    "lifetimes",
    "line_wrapping_credentials",
    "mixed_case",
    "non_ascii_credentials",
    "plain_credentials",
    "text_of",
    "time_steps",
    "unreserved_tokens",
]

_WORD = string.ascii_letters + string.digits
# Space to tilde: credentials must not have control characters (RFC 7617, 2).
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))

B64TOKEN_ALPHABET = _WORD + "-._~+/"
"""RFC 6750, 2.1; a token may end in any number of equals signs as well."""

LONG_LIFETIMES = (3600, 86400, 2592000)
"""Seconds. The last one, 30 days, overflows a 32-bit count of milliseconds."""

_BYTES = 256
# JSON's own syntax, an escape, a null byte, and one to four bytes of UTF-8. JSON allows the last
# one unescaped, which JavaScript did not always.
_EDGE_CHARACTERS = _WORD + ' "\\/{}[]:,\n\t\x00é€漢😀\u2028'

# The usual leeways of 30, 60, 120 and 300 s, most with their neighbours; and the shortest
# lifetimes.
_EDGE_LIFETIMES = (3599, 3600, 86400, 600, 300, 299, 120, 61, 60, 59, 31, 30, 29, 5, 2, 1)


def text_of(
    characters: str, *, min_size: int = 0, max_size: int | None = None
) -> st.SearchStrategy[str]:
    """Return strings of these characters, 256 at most.

    They are made of bytes: before Hypothesis draws its first string, it makes a table of all of
    Unicode. That takes as long as the examples of several clauses.
    """
    assert len(characters) <= _BYTES
    return st.binary(min_size=min_size, max_size=max_size).map(
        lambda drawn: "".join(characters[byte % len(characters)] for byte in drawn)
    )


def plain_credentials() -> st.SearchStrategy[Credentials]:
    """Return credentials of letters and digits, which every encoding leaves unchanged.

    For clauses that are not about credentials: a client with a wrong encoding passes them.
    """
    word = text_of(_WORD, min_size=6, max_size=16)
    return st.builds(Credentials, word.map("id-".__add__), word.map("s3cret-".__add__))


def ascii_credentials() -> st.SearchStrategy[Credentials]:
    """Return credentials of printable ASCII; a colon in the secret only (RFC 7617, 2)."""
    # The first colon ends the user-id, so a client id cannot have one.
    client_id = text_of(_PRINTABLE.replace(":", ""), min_size=4, max_size=24)
    client_secret = text_of(_PRINTABLE, min_size=6, max_size=24)
    return st.builds(Credentials, client_id, client_secret)


def line_wrapping_credentials() -> st.SearchStrategy[Credentials]:
    """Return credentials whose Base64 is long, padded, and rich in characters 62 and 63."""
    client_id = text_of(_WORD, min_size=4, max_size=8)
    # Up to 90 bytes: encoders that wrap lines insert a break after 57, which are 76 characters (RFC
    # 2045, 6.8).
    client_secret = text_of("~?>}|{=", min_size=6, max_size=90)
    return st.builds(Credentials, client_id, client_secret)


def non_ascii_credentials() -> st.SearchStrategy[Credentials]:
    """Return credentials whose secret has non-ASCII characters, in Latin-1 and beyond."""
    # Characters of Latin-1 and others: a client that encodes as Latin-1 is wrong for the first, and
    # raises for the others.
    beyond = st.sampled_from("éüñßøÆ€漢字אжΩ😀")
    client_id = text_of(_WORD + "éü漢", min_size=4, max_size=8)
    # At most 57 octets of UTF-8 with the client_id, one line of Base64 in MIME (RFC 2045, 6.8):
    # whether a client breaks longer ones is judged by another clause.
    word, rest = text_of(_WORD, min_size=4, max_size=16), text_of("aé€漢", max_size=4)
    return st.builds(Credentials, client_id, st.builds("{}{}{}".format, word, beyond, rest))


def b64tokens() -> st.SearchStrategy[str]:
    """Return b64tokens of 1 to 4096 characters (RFC 6750, 2.1).

    Long ones repeat a short text, which Hypothesis can simplify and which takes few bytes to draw.
    """
    short = text_of(B64TOKEN_ALPHABET, min_size=1, max_size=40)
    long = st.builds(
        lambda text, size: (text * size)[:size],
        text_of(B64TOKEN_ALPHABET, min_size=7, max_size=30),
        # 4096 is the longest token of the contract; the others are usual limits of buffers and
        # columns.
        st.sampled_from([256, 1024, 4095, 4096]),
    )
    # At most two equals signs, as Base64 has; a b64token may have more.
    padded = st.builds("{}{}".format, short, st.sampled_from(["", "=", "=="]))
    return st.one_of(padded, long)


def unreserved_tokens() -> st.SearchStrategy[str]:
    """Return tokens that no encoding changes, for clauses that are not about encoding."""
    return text_of(_WORD + "-._", min_size=1, max_size=40)


def lifetimes() -> st.SearchStrategy[int]:
    """Return lifetimes in seconds, mostly those at which clients change their behavior.

    From 1 to 7200: `refresh.zero-lifetime` judges those of 0 and below. Longer ones have strategies
    of their own where they matter.
    """
    return st.one_of(st.sampled_from(_EDGE_LIFETIMES), st.integers(1, 7200))


def time_steps() -> st.SearchStrategy[int]:
    """Return seconds between two uses, mostly about as long as the lifetimes."""
    return st.one_of(st.sampled_from((0, *_EDGE_LIFETIMES)), st.integers(0, 7200))


def mixed_case(word: str) -> st.SearchStrategy[str]:
    """Return the word with each letter in either case."""
    letters = [st.sampled_from((letter.lower(), letter.upper())) for letter in word]
    return st.tuples(*letters).map("".join)


def json_values() -> st.SearchStrategy[object]:
    """Return small JSON values of any type.

    At most four leaves: their nesting matters, and not their size.
    """
    words = text_of(_EDGE_CHARACTERS, max_size=6)
    leaves = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), words)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)
        ),
        max_leaves=4,
    )
