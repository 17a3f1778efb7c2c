"""The assertions that were used at brokers that share a state."""

from __future__ import annotations

from mockbroker.broker.used_assertions import REMEMBERED, UsedAssertions
from mockbroker.redis_state.records import octets
from mockbroker.redis_state.replica import Replica
from mockbroker.redis_state.scripts import CLEAR_ASSERTIONS, USE_ASSERTION

__all__ = ["SharedAssertions"]


class SharedAssertions(UsedAssertions):
    """The uses of assertions in all processes; Redis has them, and decides which one is first."""

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica

    def use(self, assertion: str) -> bool:
        """Record a use in all processes; return whether it is the first one."""
        [is_first] = self._replica.ask(USE_ASSERTION, octets(assertion), REMEMBERED)
        return bool(is_first)

    def clear(self) -> None:
        """Forget every use in all processes."""
        self._replica.ask(CLEAR_ASSERTIONS)
