"""The exchanges of brokers that share a state, as one journal."""

from __future__ import annotations

from collections.abc import Callable

from mockbroker.broker.journal import checked_limits
from mockbroker.model.exchange import Exchange
from mockbroker.redis_state.records import exchange_of, exchange_record
from mockbroker.redis_state.replica import Replica
from mockbroker.redis_state.scripts import CLEAR_EXCHANGES, COUNT_EXCHANGES, EXCHANGES, RECORD

__all__ = ["SharedExchanges"]


class SharedExchanges:
    """An `ExchangeStore` in Redis, which gives the numbers. Each read asks Redis."""

    def __init__(self, replica: Replica, size: int, size_bytes: int) -> None:
        self.size, self.size_bytes = checked_limits(size, size_bytes)
        self._replica = replica

    def record(self, make: Callable[[int], Exchange]) -> Exchange:
        """Append the exchange that ``make`` returns, and return it with its number.

        ``make`` is called twice, because Redis gives the number to the exchange that it stores.
        """
        unnumbered = make(0)
        [number] = self._replica.ask(
            RECORD,
            exchange_record(unnumbered),
            unnumbered.size_bytes,
            self.size,
            self.size_bytes,
        )
        return make(number)

    def snapshot(self) -> tuple[Exchange, ...]:
        """Return the exchanges as they are at this moment."""
        return self.since(0)

    def since(self, number: int) -> tuple[Exchange, ...]:
        """Return the exchanges after the one of that number that are still held."""
        total, records = self._replica.ask(EXCHANGES, number)
        numbered = enumerate(records, total - len(records) + 1)
        return tuple(exchange_of(sized.partition(b":")[2], number) for number, sized in numbered)

    def clear(self) -> None:
        """Remove every exchange, and number from 1 again."""
        self._replica.ask(CLEAR_EXCHANGES)

    @property
    def total(self) -> int:
        """How many exchanges there were, dropped ones included."""
        return self._counts()[0]

    @property
    def dropped(self) -> int:
        """How many exchanges were dropped because of a limit."""
        total, held = self._counts()
        return total - held

    def __len__(self) -> int:
        return self._counts()[1]

    def _counts(self) -> tuple[int, int]:
        """Return how many exchanges there were, and how many are held."""
        total, held = self._replica.ask(COUNT_EXCHANGES)
        return total, held
