"""An index that finds any of many values in a string, at a cost independent of their number.

A broker may have issued a hundred thousand tokens, and each string that is logged must be searched
for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

__all__ = ["Match", "ValueIndex", "index_of"]

T = TypeVar("T")

# Shorter values occur in ordinary text by chance: they are looked up, but not searched for.
_MIN_FOUND_LENGTH = 4
# From this length on a value is found in any case.
_MIN_FOLDED_LENGTH = 8
# From this length on the first three quarters of a value are found as well.
_MIN_CUT_LENGTH = 24
# Values of this length or more have anchors of this length: a random token of 43 characters is then
# looked for at few places. Short values need short anchors, at the cost of more places.
_LONG_ANCHOR_LENGTH = 16
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Match:
    """A part of a string, ``[start:end]``, that matches ``value``.

    If ``is_exact`` is False, the part differs from the value in case or is only its beginning.
    """

    start: int
    end: int
    value: str
    is_exact: bool

    @property
    def is_whole(self) -> bool:
        """Whether the part has the whole value, in any case."""
        return self.end - self.start == len(self.value)


@dataclass(slots=True)
class _Anchors:
    """Counts of values by their first ``size`` characters, in lower case.

    The pattern ``runs`` finds the runs of a string that consist of the characters of anchors. It
    is matched in C and leaves few places for the loop in Python.
    """

    size: int
    # Dicts, because a Counter calls methods of Python for keys that are new and for those that go:
    # each token has an anchor of its own.
    counts: dict[str, int] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    longest_first: tuple[int, ...] = ()
    alphabet: frozenset[str] = frozenset()
    # This pattern matches nothing, because the index has no anchor yet.
    runs: re.Pattern[str] = re.compile(r"(?!)")

    def add(self, anchor: str, length: int) -> None:
        """Count one more value of that length that begins with the anchor."""
        self.counts[anchor] = self.counts.get(anchor, 0) + 1
        if length in self.lengths:
            self.lengths[length] += 1
        else:
            self.lengths[length] = 1
            self._list_lengths()
        if not self.runs.match(anchor):
            self.alphabet |= frozenset(anchor)
            characters = "".join(map(re.escape, sorted(self.alphabet)))
            # The alphabet only grows. Making it smaller after a removal would need all anchors, and
            # a larger one costs time, but no match.
            self.runs = re.compile(f"[{characters}]{{{self.size},}}")

    def discard(self, anchor: str, length: int) -> None:
        """Count one value less; an anchor without values is removed."""
        count = self.counts.pop(anchor)
        if count > 1:
            self.counts[anchor] = count - 1
        self.lengths[length] -= 1
        if not self.lengths[length]:
            del self.lengths[length]
            self._list_lengths()

    def _list_lengths(self) -> None:
        """List the lengths again, because they have changed."""
        # Replaced, never changed in place: a search in another thread may be using the tuple.
        self.longest_first = tuple(sorted(self.lengths, reverse=True))

    def places(self, folded: str) -> list[int]:
        """Return the places in a lower-case string where an anchor begins."""
        size, counts = self.size, self.counts
        if not counts:
            return []
        return [
            start
            for run in self.runs.finditer(folded)
            for start in range(run.start(), run.end() - size + 1)
            if folded[start : start + size] in counts
        ]


class ValueIndex(Mapping[str, T]):
    """A mapping from values to entries; `find` finds the values in a string.

    Neither a lookup nor `find` visits all values. The cost of `find` grows with the length of the
    string and with the number of different lengths of values. Any number of threads may read
    while one thread changes it; changes need a lock.
    """

    def __init__(self) -> None:
        self._entries: dict[str, T] = {}
        # From the part of a value that a match must have, in lower case, to the value. Of values
        # with the same part, the last counts.
        self._keys: dict[str, str] = {}
        self._short, self._long = _Anchors(_MIN_FOUND_LENGTH), _Anchors(_LONG_ANCHOR_LENGTH)

    def put(self, value: str, entry: T) -> None:
        """Add a value, or replace its entry.

        Needs a lock against other changes, not against reading.
        """
        # The entry comes first and the anchor last, so that a search in another thread never finds
        # an anchor without its entry.
        is_new = value not in self._entries
        self._entries[value] = entry
        if is_new and len(value) >= _MIN_FOUND_LENGTH:
            anchors, folded = self._anchors_of(value), _fold(value)
            if len(value) >= _MIN_FOLDED_LENGTH:
                self._keys[folded[: _key_length(len(value))]] = value
            anchors.add(folded[: anchors.size], len(value))

    def discard(self, value: str) -> None:
        """Remove a value if the index has it.

        Needs a lock against other changes, not against reading.
        """
        # Each look at a dict of a hundred thousand values misses the processor's cache, so that
        # `pop` takes half as long as a lookup and a removal.
        if self._entries.pop(value, _MISSING) is _MISSING or len(value) < _MIN_FOUND_LENGTH:
            return
        anchors, folded = self._anchors_of(value), _fold(value)
        anchors.discard(folded[: anchors.size], len(value))
        key = folded[: _key_length(len(value))]
        found = self._keys.pop(key, value)
        if found != value:
            self._keys[key] = found

    def _anchors_of(self, value: str) -> _Anchors:
        """Return the anchors among which a value of that length is counted."""
        return self._long if len(value) >= _LONG_ANCHOR_LENGTH else self._short

    @property
    def shortest_found(self) -> int:
        """The length of the shortest string in which a value can be found; 0 without values."""
        lengths = (*self._short.longest_first[-1:], *self._long.longest_first[-1:])
        return min(map(_key_length, lengths), default=0)

    def find(self, text: str) -> Iterator[Match]:
        """Yield the matches in the string from left to right, at each place the longest.

        Values of 4 characters or more are found; from 8 on in any case; from 24 on also if at most
        a quarter is missing at the end. Matches do not overlap.
        """
        folded = _fold(text)
        places = self._long.places(folded) + self._short.places(folded)
        end = 0
        for start in sorted(set(places)):
            match = self._match_at(start, text, folded) if start >= end else None
            if match is not None:
                end = match.end
                yield match

    def _match_at(self, start: int, text: str, folded: str) -> Match | None:
        """Return the longest match at a place: an exact one, or one in another case or cut."""
        lengths = self._long.longest_first + self._short.longest_first
        # Exact matches first: two values may differ in case only.
        for length in lengths:
            piece = text[start : start + length]
            if piece in self._entries and len(piece) >= _MIN_FOUND_LENGTH:
                return Match(start, start + len(piece), piece, is_exact=True)
        for length in lengths:
            value = self._keys.get(folded[start : start + _key_length(length)])
            if value is not None:
                # The key is a part of the value. The match goes on as far as the string agrees, so
                # that a value that was cut is masked to its end.
                same = zip(_fold(value), folded[start : start + len(value)], strict=False)
                count = len(list(takewhile(lambda pair: pair[0] == pair[1], same)))
                return Match(start, start + count, value, is_exact=False)
        return None

    def __getitem__(self, value: str) -> T:
        return self._entries[value]

    def __contains__(self, value: object) -> bool:
        return value in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))  # a snapshot: another thread may change the index

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<ValueIndex of {len(self)} values>"


def index_of(values: Collection[str]) -> ValueIndex[object]:
    """Return an index of the values; return an existing index as it is.

    Making an index visits all values, so callers with many values keep one.
    """
    if isinstance(values, ValueIndex):
        return values
    index: ValueIndex[object] = ValueIndex()
    for value in values:
        index.put(value, value)
    return index


def _key_length(length: int) -> int:
    """Return how many characters of a value of that length a match must have."""
    return length if length < _MIN_CUT_LENGTH else length * 3 // 4


def _fold(text: str) -> str:
    """Return the string in lower case and of the same length, so that indexes stay valid."""
    folded = text.lower()
    if len(folded) == len(text):
        return folded
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
