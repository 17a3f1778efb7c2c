"""Pauses of a client between token requests, by the run's clock and by the machine's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mockbroker.broker.clock import real_seconds
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker_contract.harness.client_session import ClientSession

__all__ = ["token_request_gaps"]


@contextlib.contextmanager
def token_request_gaps(session: ClientSession) -> Iterator[list[float]]:
    """Collect the seconds between token requests while the context lasts.

    A client may wait by the run's clock or by real time; the larger of the two pauses counts.

    Requests are noted as the broker receives them, in threads of the server. The list is complete
    when the context ends.
    """
    gaps: list[float] = []
    moments: list[tuple[float, float]] = []

    def note(exchange: Exchange) -> None:
        if exchange.endpoint is not Endpoint.TOKEN:
            return
        # Both clocks at once: the virtual one stands still while a client waits on an event.
        moments.append((exchange.received_at, real_seconds()))
        if len(moments) > 1:
            before, now = moments[-2:]
            gaps.append(max(now[0] - before[0], now[1] - before[1]))

    end = session.broker.journal.subscribe(note)
    try:
        yield gaps
    finally:
        end()
