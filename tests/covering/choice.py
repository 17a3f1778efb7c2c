"""The choice of the tests that the coverage run leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf


@dataclass(frozen=True)
class Recorded:
    """What one test reaches, as the bits of a number, and the processor seconds that it costs."""

    reached: int
    seconds: float


@dataclass
class Reached:
    """The lines and branches that several tests reach: at least one of them, at least two."""

    once: int = 0
    twice: int = 0

    def add(self, reached: int) -> None:
        """Count one more test."""
        self.twice |= self.once & reached
        self.once |= reached

    def gain(self, reached: int, wanted: Reached) -> int:
        """Return how many of the wanted lines and branches one more test would add."""
        first = reached & wanted.once & ~self.once
        second = reached & wanted.twice & self.once & ~self.twice
        return first.bit_count() + second.bit_count()


def left_out(
    tests: Mapping[str, Recorded],
    kept: Iterable[str],
    *,
    needed: int,
    price: float,
    second_price: float,
) -> set[str]:
    """Return the tests that are not worth their cost beside the others.

    The others reach each bit of ``needed`` that any test reaches, at whatever cost, and the other
    bits if a test costs at most ``price`` seconds for each bit that it adds. They reach the needed
    bits a second time at ``second_price``, because whether one test reaches a branch may depend on
    timing.
    """
    possible, chosen = Reached(), Reached()
    for test in tests.values():
        possible.add(test.reached)
    candidates = dict(tests)
    for name in kept:
        chosen.add(candidates.pop(name).reached)
    _choose(candidates, chosen, Reached(possible.once & needed), inf)
    _choose(candidates, chosen, Reached(possible.once), price)
    _choose(candidates, chosen, Reached(possible.once, possible.twice & needed), second_price)
    return set(candidates)


def _choose(
    candidates: dict[str, Recorded], chosen: Reached, wanted: Reached, limit: float
) -> None:
    """Move the cheapest candidates to the chosen ones, until each costs too much for its gain."""

    def price(name: str) -> float:
        """Return the seconds for each line or branch that the test adds now."""
        gain = chosen.gain(candidates[name].reached, wanted)
        return candidates[name].seconds / gain if gain else inf

    # A price only rises, so the first in the queue is the cheapest if its price is still right.
    queue = [(0.0, name) for name in sorted(candidates)]
    while queue:
        _, name = heappop(queue)
        current = price(name)
        if queue and limit >= current > queue[0][0] and current != inf:
            heappush(queue, (current, name))
        elif current <= limit and current != inf:
            chosen.add(candidates.pop(name).reached)


def listed(names: Iterable[str], everything: Iterable[str]) -> list[str]:
    """Return lines that name these tests: a function if all its cases are meant, or the cases."""
    names = set(names)
    others = {name.partition("[")[0] for name in everything if name not in names}
    functions = {name: name.partition("[")[0] for name in names}
    return sorted({name if functions[name] in others else functions[name] for name in names})
