"""Server-sent events: what happens at a broker, as it happens.

A stream reads the journal from the number at which it is, and compares the rest of the broker's
state with what it has sent. So it needs no queue of its own: a slow reader costs no memory, delays
no request, and learns how many exchanges it missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from mockbroker.broker.clock import Clock, real_seconds
from mockbroker.broker.exchange_view import view_of
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.values import SettingsView
from mockbroker.server.control.views import clock_view, settings_view
from mockbroker.server.control.watching import Watchers

__all__ = ["EVENTS", "EventStream"]

EVENTS = {
    "hello": "The stream has begun; `total` is the number of the latest exchange.",
    "exchange": "A client has sent a request; its id is the number of the exchange.",
    "token-issued": "A token was issued.",
    "exchanges-missed": "Exchanges came faster than the stream was read; `count` were left out.",
    "tokens-ended": "Tokens were revoked or expired by a test; `/tokens` shows which.",
    "clock-moved": "The broker's clock was moved, by `moved_seconds`.",
    "faults-changed": "Faults were scripted, applied or cleared; `token` and `api` count answers.",
    "settings-changed": "The settings are now these.",
    "clients-changed": "The registered clients are now these.",
    "journal-cleared": "The journal was cleared; exchanges are numbered from 1 again.",
    "end": "The server ends.",
}
"""Each kind of event, with what it says."""

POLL_SECONDS = 0.5
"""How soon a stream notices what a Python program did to the broker: nothing wakes it then."""
BEAT_SECONDS = 3.0
"""How long a stream is silent at most. Only by sending does it notice that its reader is gone."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a stream compares; each difference is an event."""

    clearings: int
    advanced_seconds: float
    token_endings: int
    faults: tuple[int, int]
    settings: SettingsView
    client_ids: tuple[str, ...]

    @classmethod
    def of(cls, broker: ControlledBroker) -> _State:
        """Return the state of a broker now."""
        clock = broker.clock
        return cls(
            clearings=broker.journal.clearings,
            # The clock of a test may be of another class, whose moves cannot be seen.
            advanced_seconds=clock.advanced_seconds if isinstance(clock, Clock) else 0.0,
            token_endings=broker.token_endings,
            faults=(
                sum(fault.count for fault in broker.scripted),
                sum(fault.count for fault in broker.api_scripted),
            ),
            settings=settings_view(broker),
            client_ids=tuple(each.client_id for each in broker.registered),
        )


class EventStream:
    """The events of one broker for one reader, as pieces of a response. Iterate it once.

    They begin after exchange number ``since``. ``close`` gives its place to another reader.
    """

    def __init__(self, broker: ControlledBroker, watchers: Watchers, since: int | None) -> None:
        self._broker = broker
        self._watchers = watchers
        self._changed = watchers.enter()
        self._state = _State.of(broker)
        self._number = broker.journal.total if since is None else since

    def close(self) -> None:
        """End the stream; do nothing the second time."""
        self._watchers.leave(self._changed)

    def __iter__(self) -> Iterator[bytes]:
        """Yield events as they come, until the server ends."""
        yield b"retry: 1000\n\n" + _event("hello", {"total": self._broker.journal.total})
        silent_since = real_seconds()
        while not self._watchers.stopped.is_set():
            for event in self._news():
                yield event
                silent_since = real_seconds()
            if real_seconds() - silent_since >= BEAT_SECONDS:
                yield b": beat\n\n"
                silent_since = real_seconds()
            self._wait()
        yield _event("end", {})

    def _wait(self) -> None:
        """Wait until something may have happened."""
        self._changed.wait(POLL_SECONDS)
        # Cleared before the broker is looked at: what happens meanwhile sets it again.
        self._changed.clear()

    def _news(self) -> Iterator[bytes]:
        """Yield an event for each change since the last time."""
        before, self._state = self._state, _State.of(self._broker)
        changed = [
            field.name
            for field in fields(_State)
            if getattr(before, field.name) != getattr(self._state, field.name)
        ]
        if "clearings" in changed:
            self._number = 0
        yield from (self._change(name, before) for name in changed)
        yield from self._exchanges()

    def _change(self, name: str, before: _State) -> bytes:
        """Return the event for a part of the state that has changed."""
        state = self._state
        if name == "clearings":
            return _event("journal-cleared", {})
        if name == "advanced_seconds":
            moved = state.advanced_seconds - before.advanced_seconds
            clock = msgspec.to_builtins(clock_view(self._broker.clock))
            return _event("clock-moved", {**clock, "moved_seconds": moved})
        if name == "token_endings":
            return _event("tokens-ended", {"endings": state.token_endings})
        if name == "faults":
            return _event("faults-changed", {"token": state.faults[0], "api": state.faults[1]})
        if name == "settings":
            return _event("settings-changed", state.settings)
        return _event("clients-changed", {"client_ids": state.client_ids})

    def _exchanges(self) -> Iterator[bytes]:
        """Yield the exchanges since the last one that was sent."""
        exchanges = self._broker.journal.since(self._number)
        if not exchanges:
            return
        missed = exchanges[0].number - 1 - self._number
        if missed > 0:
            yield _event("exchanges-missed", {"count": missed})
        for exchange in exchanges:
            self._number = exchange.number
            yield _event("exchange", view_of(exchange, self._broker.masked), exchange.number)
            if exchange.endpoint is Endpoint.TOKEN and exchange.token is not None:
                yield _event("token-issued", _issued(exchange))


def _issued(exchange: Exchange) -> dict[str, object]:
    """Return the facts about the token that an exchange issued."""
    token = exchange.token
    assert token is not None, "the caller has looked"
    return {
        "number": token.number,
        "client_id": token.credentials.client_id,
        "expires_in": token.expires_in,
        "exchange": exchange.number,
    }


def _event(name: str, data: Any, number: int | None = None) -> bytes:
    """Return an event; ``number`` is its id, after which a reader may continue."""
    # JSON has no line breaks outside of strings, where they are escaped: one data line is enough.
    lines = [f"event: {name}".encode(), b"data: " + msgspec.json.encode(data)]
    if number is not None:
        lines.insert(0, f"id: {number}".encode())
    return b"\n".join(lines) + b"\n\n"
