"""The clock of brokers that share a state."""

from __future__ import annotations

from mockbroker.broker.clock import Clock
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import ADVANCE, RESET_CLOCK

__all__ = ["SharedClock"]


class SharedClock(Clock):
    """`time.time` of this process plus the seconds by which any process advanced the clock."""

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica

    def advance(self, seconds: float) -> None:
        """Move the time forward in all processes. Raises ValueError if the number is negative."""
        # Written so that NaN is rejected, too, as in the base class.
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a clock only moves forward; cannot advance it by {seconds} s")
        self._replica.ask(ADVANCE, repr(float(seconds)))

    def reset(self) -> None:
        """Return to each program's own time."""
        self._replica.ask(RESET_CLOCK)

    def apply_offset(self, seconds: bytes) -> None:
        """Set by how many seconds the clock was advanced; called by the replica only."""
        self._offset_seconds = float(seconds)

    def load(self, snapshot: Snapshot) -> None:
        """Set the offset to that of a whole state."""
        self._offset_seconds = snapshot.offset_seconds
