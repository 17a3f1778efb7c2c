"""Which values were forgotten: their fingerprints, in a memory of fixed size.

Without it, a token beyond the limit would look like an invented one. The hint would then be wrong.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

__all__ = ["ForgottenValues"]

# 2**25 bits; together with the four hash functions they give the rates that the class states.
_SIZE_BYTES = 4 * 1024 * 1024
# Four hash functions in one digest of 16 bytes. More would cost more bits for each value, and the
# filter would fill up sooner.
_POSITIONS = struct.Struct("<4L")


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
            self._bits = bytearray(_SIZE_BYTES)
        for place, bit in _places(value):
            self._bits[place] |= bit

    def __contains__(self, value: str) -> bool:
        return bool(self._bits) and all(self._bits[place] & bit for place, bit in _places(value))

    def clear(self) -> None:
        """Forget every value that was added."""
        self._bits = bytearray()


def _places(value: str) -> Iterator[tuple[int, int]]:
    """Yield the byte and the bit of each hash of a value."""
    # A cryptographic hash although nothing secret depends on it: its bits are independent, which
    # the rates above assume, and a client cannot choose tokens that collide.
    # A test may issue values with lone surrogates, which plain UTF-8 cannot encode.
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=_POSITIONS.size)
    for number in _POSITIONS.unpack(digest.digest()):
        yield number // 8 % _SIZE_BYTES, 1 << number % 8
