"""The choice of the tests that the coverage run leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

REDUNDANCY = 2
"""How many tests of the coverage run reach a branch, if so many reach it at all. Whether one test
reaches it may depend on timing."""


@dataclass(frozen=True)
class Recorded:
    """What one test executes, as the bits of a number, and the processor seconds that it costs."""

    reached: int
    seconds: float


class Reached:
    """How often each branch is reached by the tests that were added, counted up to a limit."""

    def __init__(self, limit: int) -> None:
        # The bits of level n are the branches that more than n tests reach.
        self._levels = [0] * limit

    def add(self, reached: int) -> None:
        for level, before in enumerate(self._levels):
            self._levels[level] |= reached
            reached &= before

    def gain(self, reached: int, of: Reached) -> int:
        """Count what a test would add to the levels, of what another count has there."""
        gained = 0
        for before, possible in zip(self._levels, of._levels, strict=True):
            gained += (reached & possible & ~before).bit_count()
            reached &= before
        return gained


def left_out(tests: Mapping[str, Recorded], kept: Iterable[str]) -> set[str]:
    """Return the tests whose branches cheaper tests, or the kept ones, reach as well."""
    everything, chosen = Reached(REDUNDANCY), Reached(REDUNDANCY)
    for test in tests.values():
        everything.add(test.reached)
    candidates = dict(tests)
    for name in kept:
        chosen.add(candidates.pop(name).reached)

    def price(name: str) -> float:
        """Return the seconds for each branch that the test adds; it rises with each choice."""
        test = candidates[name]
        gain = chosen.gain(test.reached, everything)
        return test.seconds / gain if gain else inf

    queue = [(0.0, name) for name in sorted(candidates)]
    while queue:
        _, name = heappop(queue)
        current = price(name)
        if queue and current > queue[0][0]:
            heappush(queue, (current, name))
        elif current == inf:
            break
        else:
            chosen.add(candidates.pop(name).reached)
    return set(candidates)
