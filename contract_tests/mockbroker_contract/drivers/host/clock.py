"""The client's time: the shared clock or the machine's, in a time zone."""

from __future__ import annotations

from mockbroker_contract.isolation.frozen_time import FrozenTime
from mockbroker_contract.isolation.sleep import MovingSleep
from mockbroker_contract.isolation.time_zone import UTC, TimeZone
from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["HostClock"]


class HostClock:
    """Switch of this process between the shared clock and the machine's clock.

    ``operating`` has the ids of the threads in which the client is being used: when one of them
    sleeps, the shared clock moves at once. Other threads of the client sleep in real time.
    """

    def __init__(self, shared: SharedClock) -> None:
        self.operating: set[int] = set()
        self._time = FrozenTime(lambda: shared.wall_microseconds, lambda: shared.microseconds)
        self._sleep = MovingSleep(shared.advance, self.operating)
        self._zone = TimeZone()

    def freeze(self) -> None:
        """Use the shared clock from now on, also in modules that are imported later."""
        if not self._time.is_frozen:
            # freezegun's local times are those of UTC. Wherever the machine is, the C library must
            # agree, or a client that converts between the two would get another time.
            self._zone.set(UTC)
            self._time.freeze()
            self._sleep.install()

    def thaw(self) -> None:
        """Use the machine's clock from now on."""
        if self._time.is_frozen:
            # In reverse order: a sleep must not move a clock that is no longer read.
            self._sleep.remove()
            self._time.use_utc()
            self._time.thaw()
            self._zone.restore()

    def set_zone(self, name: str | None) -> None:
        """Use that local time zone, named as in the variable TZ, while time is frozen.

        None means UTC.
        """
        self._zone.set(name or UTC)
        if name is None:
            self._time.use_utc()
        else:
            self._time.use_local_zone()
