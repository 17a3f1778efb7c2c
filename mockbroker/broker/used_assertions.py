"""The assertions that were used, so that each is accepted once (RFC 7523, 3)."""

from __future__ import annotations

import threading

__all__ = ["REMEMBERED", "UsedAssertions"]

REMEMBERED = 10_000
"""How many uses are remembered. An assertion lives for minutes, so older ones have expired."""


class UsedAssertions:
    """The uses of assertions at one broker, each by its client and ``jti``; thread-safe."""

    def __init__(self) -> None:
        # A dict, because it keeps the order.
        self._uses: dict[str, None] = {}
        self._lock = threading.Lock()

    def use(self, assertion: str) -> bool:
        """Record a use; return whether it is the first one."""
        with self._lock:
            if assertion in self._uses:
                return False
            self._uses[assertion] = None
            if len(self._uses) > REMEMBERED:
                del self._uses[next(iter(self._uses))]
            return True

    def clear(self) -> None:
        """Forget every use."""
        with self._lock:
            self._uses.clear()
