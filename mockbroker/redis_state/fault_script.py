"""The faults of brokers that share a state."""

from __future__ import annotations

from collections.abc import Iterable

from mockbroker.broker.faults import Fault, FaultScript, Manner, checked_faults
from mockbroker.model.exchange import Endpoint
from mockbroker.redis_state.records import fault_of, fault_record
from mockbroker.redis_state.replica import Replica
from mockbroker.redis_state.scripts import (
    ARRIVE,
    CLEAR_FAULTS,
    COUNT_FAULTS,
    EXTEND,
    FAULTS,
    REMOVE_FAULT,
)

__all__ = ["Refusals", "SharedFaultScript"]

_LASTING = 0
"""The count of a fault that lasts until the script is cleared."""
_BITS = {Endpoint.TOKEN: 1, Endpoint.API: 2, Endpoint.ELSEWHERE: 4}


class Refusals:
    """For which endpoints connections are to be refused, as bits; the scripts share it."""

    def __init__(self) -> None:
        self.bits = 0


class SharedFaultScript(FaultScript):
    """The faults of the next answers of one endpoint, in all processes that share the state.

    Each repetition of a fault goes to one request, whichever process answers it.
    """

    def __init__(self, replica: Replica, endpoint: Endpoint, refusals: Refusals) -> None:
        super().__init__()
        self._replica = replica
        self._endpoint = endpoint
        self._refusals = refusals

    def extend(self, faults: Iterable[Fault]) -> None:
        """Apply these after those that wait already. Raises TypeError if one is not a Fault."""
        added = [argument for fault in checked_faults(faults) for argument in _arguments(fault)]
        [self._refusals.bits] = self._replica.ask(EXTEND, self._endpoint.value, *added)

    def next(self) -> Fault | None:
        """Remove and return the fault of the next answer, and bring the replica up to date."""
        self._refusals.bits, record, count = self._replica.ask(ARRIVE, self._endpoint.value)
        return None if record is None else fault_of(record, max(1, count))

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """The faults that wait in Redis, in order; see the base."""
        return self._waiting_faults()[0]

    @property
    def unapplied(self) -> tuple[Fault, ...]:
        """The faults that wait in Redis and have not been applied once."""
        faults, has_begun = self._waiting_faults()
        return faults[has_begun or self.is_refusing :]

    def _waiting_faults(self) -> tuple[tuple[Fault, ...], bool]:
        """Return the faults that wait in Redis, and whether an answer has had the first one."""
        records, counts, has_begun = self._replica.ask(FAULTS, self._endpoint.value)
        pairs = zip(records, map(int, counts), strict=True)
        return tuple(fault_of(record, max(1, count)) for record, count in pairs), bool(has_begun)

    def remove(self, fault: Fault) -> None:
        """Remove the first fault that waits in Redis and equals it; do nothing if none does."""
        [self._refusals.bits] = self._replica.ask(
            REMOVE_FAULT, self._endpoint.value, *_arguments(fault)
        )

    @property
    def is_refusing(self) -> bool:
        """Whether connections were to be refused when Redis last replied."""
        return bool(self._refusals.bits & _BITS[self._endpoint])

    def clear(self) -> None:
        """Remove every fault that waits, whichever process scripted it."""
        [self._refusals.bits] = self._replica.ask(CLEAR_FAULTS, self._endpoint.value)

    def __len__(self) -> int:
        [count] = self._replica.ask(COUNT_FAULTS, self._endpoint.value)
        return int(count)


def _arguments(fault: Fault) -> tuple[int, bytes]:
    """Return the count and the record of a fault."""
    count = _LASTING if fault.manner is Manner.REFUSE else fault.count
    return count, fault_record(fault)
