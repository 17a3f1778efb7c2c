"""The journal: a bounded number of exchanges, and the subscribers that are called with each.

An `ExchangeStore` holds the exchanges, in the memory of this process or elsewhere.

Subscribers are for example the log of `mockbroker serve` and the observation of an audit.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

from mockbroker.broker.near_misses import Pattern, assert_seen
from mockbroker.model.exchange import Exchange
from mockbroker.model.masking import Mask

__all__ = ["SIZE_BYTES", "ExchangeStore", "Journal", "RecentExchanges", "Subscriber"]

SIZE_BYTES = 64 * 1024 * 1024
"""How much memory the exchanges of a journal may take by default. A thousand exchanges with the
longest bodies would take 1 GiB."""

_log = logging.getLogger(__name__)

# It gets each exchange once it is recorded; `Journal.subscribe` says what it may do.
Subscriber = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True)
class _Subscription:
    subscriber: Subscriber
    survives_reset: bool
    is_prompt: bool


class ExchangeStore(Protocol):
    """Where a journal keeps its exchanges; thread-safe.

    It keeps the latest exchanges within its limits, ``size`` and ``size_bytes``, and always the
    last one. It numbers them from 1, in their order.
    """

    size: int
    size_bytes: int

    def record(self, make: Callable[[int], Exchange]) -> Exchange:
        """Append the exchange that ``make`` returns for its number, and return it."""
        ...

    def snapshot(self) -> tuple[Exchange, ...]:
        """Return the exchanges as they are at this moment."""
        ...

    def since(self, number: int) -> tuple[Exchange, ...]:
        """Return the exchanges after the one of that number that are still held."""
        ...

    def clear(self) -> None:
        """Remove every exchange, and number from 1 again."""
        ...

    @property
    def total(self) -> int:
        """How many exchanges there were, dropped ones included."""
        ...

    @property
    def dropped(self) -> int:
        """How many exchanges were dropped because of a limit."""
        ...

    def __len__(self) -> int: ...


class RecentExchanges:
    """An `ExchangeStore` in the memory of this process.

    Raises ValueError if a limit is less than 1.
    """

    def __init__(self, size: int, size_bytes: int) -> None:
        self.size, self.size_bytes = checked_limits(size, size_bytes)
        # No maxlen: a deque of that length would drop exchanges without their bytes being
        # subtracted.
        self._exchanges: deque[Exchange] = deque()
        # Of each exchange, in the same order: computing a size visits every header field.
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._count = 0
        self._lock = threading.Lock()

    def record(self, make: Callable[[int], Exchange]) -> Exchange:
        """Append the exchange that ``make`` returns for its number, and return it."""
        # Number and place are given in one step; otherwise #2 could stand before #1.
        with self._lock:
            self._count += 1
            exchange = make(self._count)
            self._append(exchange)
            return exchange

    def _append(self, exchange: Exchange) -> None:
        """Append an exchange, and drop the oldest ones beyond either limit; needs the lock."""
        self._exchanges.append(exchange)
        self._sizes.append(exchange.size_bytes)
        self._bytes += self._sizes[-1]
        # The last exchange stays even if it alone is over the limit in bytes. A test that sends one
        # huge request must find it.
        while len(self._exchanges) > self.size or (
            self._bytes > self.size_bytes and len(self._exchanges) > 1
        ):
            self._exchanges.popleft()
            self._bytes -= self._sizes.popleft()

    def snapshot(self) -> tuple[Exchange, ...]:
        """Return the exchanges as they are at this moment."""
        with self._lock:
            return tuple(self._exchanges)

    def since(self, number: int) -> tuple[Exchange, ...]:
        """Return the exchanges after the one of that number that are still held."""
        with self._lock:
            wanted = max(0, self._count - number)
            # [-0:] would be the whole journal.
            return tuple(self._exchanges)[-wanted:] if wanted else ()

    def clear(self) -> None:
        """Remove every exchange, and number from 1 again."""
        with self._lock:
            self._exchanges.clear()
            self._sizes.clear()
            self._count = self._bytes = 0

    @property
    def total(self) -> int:
        """How many exchanges there were, dropped ones included."""
        with self._lock:
            return self._count

    @property
    def dropped(self) -> int:
        """How many exchanges were dropped because of a limit."""
        with self._lock:
            return self._count - len(self._exchanges)

    def __len__(self) -> int:
        with self._lock:
            return len(self._exchanges)


def checked_limits(size: int, size_bytes: int) -> tuple[int, int]:
    """Return the limits of a journal. Raises ValueError if one is less than 1."""
    if size < 1:
        raise ValueError(f"the size of a journal must be 1 or more, not {size}")
    if size_bytes < 1:
        raise ValueError(f"the size of a journal in bytes must be 1 or more, not {size_bytes}")
    return size, size_bytes


class Journal(Sequence[Exchange]):
    """The latest exchanges, in order; thread-safe.

    It holds at most ``size`` exchanges, which take about ``size_bytes`` of memory at most; it
    always holds the last one. Iteration uses a snapshot, so exchanges may arrive meanwhile.
    Exchanges are numbered from 1 and keep their numbers when older ones are dropped. To see what
    arrives from a moment on, store ``total`` and later call `since` with it. ``mask`` replaces
    secrets in the messages of failed assertions. A ``store`` has limits of its own; without one
    the exchanges are kept in memory. Raises ValueError if a limit is less than 1.
    """

    def __init__(
        self,
        size: int = 1000,
        *,
        size_bytes: int = SIZE_BYTES,
        mask: Mask = str,
        store: ExchangeStore | None = None,
    ) -> None:
        self._store = RecentExchanges(size, size_bytes) if store is None else store
        self.mask = mask
        # In the order of subscription. An immutable tuple, replaced as a whole: requests read it
        # without a lock.
        self._subscriptions: tuple[_Subscription, ...] = ()
        self._clearings = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The limit of exchanges by number."""
        return self._store.size

    @property
    def size_bytes(self) -> int:
        """The limit of exchanges by memory, in bytes."""
        return self._store.size_bytes

    def record(self, make: Callable[[int], Exchange]) -> Exchange:
        """Append the exchange that ``make`` returns for its number, and call the subscribers.

        ``make`` may be called under the journal's lock, and more than once, so it must not block,
        call the journal or have other effects.
        """
        exchange = self._store.record(make)
        # Outside the lock: a subscriber may read the journal or take its time.
        for subscription in self._subscriptions:
            _call(subscription.subscriber, exchange)
        return exchange

    def subscribe(
        self, subscriber: Subscriber, *, survives_reset: bool = False, is_prompt: bool = False
    ) -> Callable[[], None]:
        """Call ``subscriber`` with each exchange from now on.

        The call is in the thread that serves the request, before the response is sent. It must be
        thread-safe and short; it ``is_prompt`` if it never waits for anything, such as another
        request. Its exceptions are logged. Returns a function that ends the subscription; `reset`
        ends it as well, unless it ``survives_reset``.
        """
        added = _Subscription(subscriber, survives_reset=survives_reset, is_prompt=is_prompt)
        with self._lock:
            self._subscriptions = (*self._subscriptions, added)
        return lambda: self._unsubscribe(subscriber)

    @property
    def is_prompt(self) -> bool:
        """Whether every subscriber is prompt."""
        return all(each.is_prompt for each in self._subscriptions)

    def _unsubscribe(self, subscriber: Subscriber) -> None:
        """End a subscription; do nothing if it has ended already."""
        with self._lock:
            # By identity, and into a new tuple: `record` may be walking the old one in another
            # thread.
            self._subscriptions = tuple(
                each for each in self._subscriptions if each.subscriber is not subscriber
            )

    def clear(self) -> None:
        """Remove every exchange and number from 1 again; subscriptions continue."""
        self._store.clear()
        with self._lock:
            self._clearings += 1

    def reset(self) -> None:
        """Remove every exchange, number from 1 again, and end the subscriptions of a test."""
        # In this order, so that an old subscriber never sees the numbers begin again.
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s.survives_reset)
        self.clear()

    @property
    def total(self) -> int:
        """How many exchanges there were, dropped ones included."""
        return self._store.total

    @property
    def clearings(self) -> int:
        """How often the journal was cleared or reset; the numbers began again each time."""
        with self._lock:
            return self._clearings

    @property
    def dropped(self) -> int:
        """How many exchanges were dropped because the journal was full."""
        return self._store.dropped

    def snapshot(self) -> tuple[Exchange, ...]:
        """Return the exchanges as they are at this moment."""
        return self._store.snapshot()

    def since(self, number: int) -> tuple[Exchange, ...]:
        """Return the exchanges after the one of that number that the journal still holds.

        ``journal.since(before)`` are those that arrived after ``before = journal.total``. Lengths
        would not do: the length stays the same once the journal is full.
        """
        return self._store.since(number)

    def assert_seen(
        self,
        method: str | None = None,
        url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        times: int | None = None,
    ) -> None:
        """Assert that ``times`` exchanges were like this, or at least one by default.

        ``url`` is a whole URL or begins with the path; without a query it fits any query.
        Raises AssertionError with the closest exchanges and their differences.
        """
        __tracebackhide__ = True
        pattern = Pattern(method=method, url=url, headers=headers or {}, status=status)
        assert_seen(self.snapshot(), pattern, times, self.mask)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.snapshot())

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Exchange, ...]: ...
    def __getitem__(self, index: int | slice) -> Exchange | tuple[Exchange, ...]:
        """Return exchanges by their position among those still held, not by their numbers."""
        return self.snapshot()[index]

    def __repr__(self) -> str:
        return f"<Journal of {len(self)} exchanges>"


def _call(subscriber: Subscriber, exchange: Exchange) -> None:
    """Call a subscriber; log its exception."""
    try:
        subscriber(exchange)
    # A mistake in a test's own subscriber must not look like a failure of the broker: the client
    # would get 500, and the test would fail for a wrong reason.
    except Exception:  # noqa: BLE001 - see above
        _log.exception("a subscriber of the journal failed; the request is answered nevertheless")
