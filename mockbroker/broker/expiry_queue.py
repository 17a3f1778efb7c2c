"""The moments at which tokens expire, the earliest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from heapq import heapify, heappop, heappush

__all__ = ["ExpiryQueue"]


class ExpiryQueue:
    """Numbers of tokens by the moment of their expiry, in Unix seconds.

    A token that is dropped before its expiry may leave its entry, which `remove_dropped` removes.
    Needs a lock against every other use.
    """

    def __init__(self) -> None:
        # Most tokens live equally long, so that each expires after all that were issued before. A
        # heap has the others: to take the first from a heap of many is slow.
        self._in_order: deque[tuple[float, int]] = deque()
        self._others: list[tuple[float, int]] = []

    def __len__(self) -> int:
        """Return the number of entries, also of dropped tokens."""
        return len(self._in_order) + len(self._others)

    def push(self, expires_at: float, number: int) -> None:
        """Add a token."""
        entry = (expires_at, number)
        if not self._in_order or self._in_order[-1] <= entry:
            self._in_order.append(entry)
        else:
            heappush(self._others, entry)

    def first_until(self, now: float, kept: Container[int]) -> int | None:
        """Return the number of the token that expired first of those that are kept, if any has."""
        while True:
            in_order, others = self._in_order, self._others
            is_other = bool(others) and (not in_order or others[0] < in_order[0])
            if not is_other and not in_order:
                return None
            expires_at, number = others[0] if is_other else in_order[0]
            if expires_at > now:
                return None
            if number in kept:
                return number
            if is_other:
                heappop(others)
            else:
                in_order.popleft()

    def remove_dropped(self, kept: Container[int], limit: int) -> None:
        """Remove entries of tokens that are not kept, so that at most ``limit`` entries stay.

        The limit is at least twice the number of kept ones, so that the cost for each token is the
        same, however many there are.
        """
        while self._in_order and self._in_order[0][1] not in kept:
            self._in_order.popleft()
        if len(self) > limit:
            self._in_order = deque(each for each in self._in_order if each[1] in kept)
            self._others = [each for each in self._others if each[1] in kept]
            heapify(self._others)

    def clear(self) -> None:
        """Remove every token."""
        self._in_order.clear()
        self._others.clear()
