"""Which values were forgotten: their fingerprints, in a memory of fixed size.

Without it, a token beyond the limit would look like an invented one. The hint would then be wrong.
"""

from __future__ import annotations

from array import array

__all__ = ["ForgottenValues"]

# 2**19 words of 64 bits; together with the six bits of a value they give the rates that the class
# states.
_WORDS = 2**19
_WORD_MASK = _WORDS - 1


class ForgottenValues:
    """A set of strings that keeps none of them: a Bloom filter of 4 MiB.

    A value that was added is always found. One that was not is found by mistake, about once in
    four million after 50,000 values, once in 2,000 after a million. It takes no memory until a
    value is added.

    All bits of a value are in one word, which is read and written once (Putze, Sanders and Singler,
    "Cache-, Hash- and Space-Efficient Bloom Filters"): a broker that is full adds a value with each
    token.

    Adding and clearing need a lock. A lookup does not: a bit that is set stays set until `clear`.
    """

    def __init__(self) -> None:
        self._words = array("Q")

    def add(self, value: str) -> None:
        """Remember that there was such a value."""
        # Most brokers of a test never forget a token; 4 MiB for each would be a waste.
        if not self._words:
            self._words = array("Q", bytes(8 * _WORDS))
        number = hash(value)
        self._words[number & _WORD_MASK] |= _bits(number)

    def __contains__(self, value: str) -> bool:
        words, number = self._words, hash(value)
        bits = _bits(number)
        return bool(words) and words[number & _WORD_MASK] & bits == bits

    def clear(self) -> None:
        """Forget every value that was added."""
        self._words = array("Q")


def _bits(number: int) -> int:
    """Return the bits of a value in its word, from the value's hash.

    It is Python's own hash: the index of tokens has computed it already, so that it costs nothing
    here. It has a key for each process, so a client cannot choose tokens that collide.
    """
    # The lowest 19 bits have chosen the word. Written out, because it is computed with each token.
    return (
        1 << (number >> 19 & 63)
        | 1 << (number >> 25 & 63)
        | 1 << (number >> 31 & 63)
        | 1 << (number >> 37 & 63)
        | 1 << (number >> 43 & 63)
        | 1 << (number >> 49 & 63)
    )
