"""Requests that wait for what a broker does: waits on the journal, and event streams.

Each has a thread of the server for as long as it waits, so their number is limited. They end with
the server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mockbroker.broker.clock import real_seconds
from mockbroker.broker.faults import Fault
from mockbroker.broker.journal import Journal
from mockbroker.broker.near_misses import Pattern
from mockbroker.model.exchange import Exchange
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.reading import RequestError

__all__ = ["Watchers", "end_refusal_after", "wait_for"]

WATCHER_LIMIT = 32
"""Waiting requests at a time; the server has 256 threads for all connections."""
POLL_SECONDS = 0.05
STOP_LIMIT_SECONDS = 1.0


class Watchers:
    """The requests that wait, each with an event that wakes it; thread-safe."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: dict[threading.Event, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._left = threading.Event()
        self.stopped = threading.Event()
        """Set when the server ends; every waiting request then ends, too."""

    def enter(self) -> threading.Event:
        """Return an event that is set by each exchange, each control request, and the end.

        Raises RequestError if too many requests wait already.
        """
        event = threading.Event()
        with self._lock:
            if len(self._events) >= WATCHER_LIMIT:
                raise RequestError(
                    503,
                    "busy",
                    f"{WATCHER_LIMIT} requests wait for this broker already; end one of them first",
                )
            # Subscribed only while a request waits: the token endpoint has no cost of it otherwise.
            # A reset must not end the wait, since a test may reset the broker and then use it.
            self._events[event] = self._journal.subscribe(
                lambda _: event.set(), survives_reset=True
            )
        if self.stopped.is_set():
            event.set()
        return event

    def leave(self, event: threading.Event) -> None:
        """Let another request wait in the place of this one; do nothing the second time."""
        with self._lock:
            unsubscribe = self._events.pop(event, None)
        if unsubscribe is not None:
            unsubscribe()
        self._left.set()

    @contextmanager
    def watching(self) -> Iterator[threading.Event]:
        """Yield an event as `enter` does, and leave at the end of the block."""
        event = self.enter()
        try:
            yield event
        finally:
            self.leave(event)

    def wake(self) -> int:
        """Wake every request that waits; return how many there are."""
        with self._lock:
            events = tuple(self._events)
        for event in events:
            event.set()
        return len(events)

    def stop(self) -> None:
        """End every request that waits; let them send their last words for a second at most."""
        self.stopped.set()
        until = real_seconds() + STOP_LIMIT_SECONDS
        # The server closes every connection next, and a stream would end without its last event.
        while self.wake() and real_seconds() < until:
            self._left.wait(POLL_SECONDS)
            self._left.clear()


def wait_for(
    watchers: Watchers,
    journal: Journal,
    pattern: Pattern,
    *,
    count: int,
    since: int,
    timeout_seconds: float,
) -> tuple[Exchange, ...]:
    """Wait until ``count`` exchanges after number ``since`` fit a pattern; return those that fit.

    After ``timeout_seconds`` of real time, or at the end of the server, there are fewer.
    """
    until = real_seconds() + timeout_seconds
    with watchers.watching() as changed:
        while True:
            # Cleared before the journal is read: an exchange that comes in between sets it again.
            changed.clear()
            fitting = tuple(e for e in journal.since(since) if not pattern.differences(e))
            left = until - real_seconds()
            if len(fitting) >= count or left <= 0 or watchers.stopped.is_set():
                return fitting
            # Another process that shares the state may record the exchange, without an event here.
            changed.wait(min(left, POLL_SECONDS))


def end_refusal_after(
    broker: ControlledBroker, fault: Fault, seconds: float, stopped: threading.Event
) -> None:
    """Start a thread that withdraws a refusal so many seconds after its turn in the script.

    A refusing server does not accept the request that would end the refusal.
    """

    def run() -> None:
        began: float | None = None
        while not stopped.wait(POLL_SECONDS):
            scripts = (broker.scripted, broker.api_scripted)
            if not any(fault in script for script in scripts):
                return  # a test has cleared the script, or reset the broker
            if began is None and any(script[:1] == (fault,) for script in scripts):
                began = real_seconds()
            if began is not None and real_seconds() - began >= seconds:
                broker.withdraw(fault)
                return

    threading.Thread(target=run, name="mockbroker-refusal", daemon=True).start()
