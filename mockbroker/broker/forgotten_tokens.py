"""Which values were forgotten: their fingerprints, in a memory of fixed size.

Without it, a token beyond the limit would look like an invented one. The hint would then be wrong.
"""

from __future__ import annotations

__all__ = ["ForgottenValues"]

# 2**25 bits; together with the four places they give the rates that the class states.
_BITS = 2**25
_MASK = _BITS - 1


class ForgottenValues:
    """A set of strings that keeps none of them: a Bloom filter of 4 MiB.

    A value that was added is always found. One that was not is found by mistake, once in 10**9
    after 50,000 values, once in 6,000 after a million. It takes no memory until a value is added.

    Adding and clearing need a lock. A lookup does not: a bit that is set stays set until `clear`.
    """

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, value: str) -> None:
        """Remember that there was such a value."""
        # Most brokers of a test never forget a token; 4 MiB for each would be a waste.
        if not self._bits:
            self._bits = bytearray(_BITS // 8)
        bits = self._bits
        for place in _places(value):
            bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, value: str) -> bool:
        bits = self._bits
        return bool(bits) and all(bits[p >> 3] & 1 << (p & 7) for p in _places(value))

    def clear(self) -> None:
        """Forget every value that was added."""
        self._bits = bytearray()


def _places(value: str) -> tuple[int, int, int, int]:
    """Return the numbers of the bits of a value.

    More places would cost more bits for each value, and the filter would fill up sooner.
    """
    # Python's own hash: the index of tokens has computed it already, so that it costs nothing here.
    # It has a key for each process, so a client cannot choose tokens that collide. Its two halves
    # make as many places as needed (Kirsch and Mitzenmacher, "Less Hashing, Same Performance").
    number = hash(value)
    step = number >> 32 | 1
    # A mask, because the number of bits is a power of two. Written out: it is computed with each
    # token of a broker that is full.
    return (
        number & _MASK,
        number + step & _MASK,
        number + 2 * step & _MASK,
        number + 3 * step & _MASK,
    )
