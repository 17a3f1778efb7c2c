"""The broker behind ``auth_broker``: one server for the session, clean for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import pytest

from mockbroker.broker import Broker
from mockbroker.server import Server
from mockbroker.spec.masking import describe

__all__ = ["BrokerSession", "traffic_of"]

_SETTINGS = frozenset({"expires_in", "profile", "strict"})


class BrokerSession:
    """A server that runs for the session and carries one broker after another."""

    def __init__(self) -> None:
        self._server = Server()
        self._plain = Broker()

    def __enter__(self) -> BrokerSession:
        self._server.start()
        self._server.mount(self._plain)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()

    @contextlib.contextmanager
    def for_test(self, node: pytest.Item, settings: Mapping[str, Any]) -> Iterator[Broker]:
        """The broker for one test, with the settings of its marker.

        Raises pytest.UsageError if the marker has a setting that does not exist.
        """
        unknown = sorted(settings.keys() - _SETTINGS)
        if unknown:
            raise pytest.UsageError(
                f"{node.nodeid}: the auth_broker marker has no setting {', '.join(unknown)}; "
                f"there are {', '.join(sorted(_SETTINGS))}"
            )
        if "profile" in settings:
            yield from self._special(settings)
            return
        broker = self._plain
        broker.reset()
        broker.expires_in = settings.get("expires_in", broker.expires_in)
        broker.strict = settings.get("strict", broker.strict)
        try:
            yield broker
        finally:
            broker.release()

    def _special(self, settings: Mapping[str, Any]) -> Iterator[Broker]:
        broker = Broker(**settings)
        self._server.unmount()
        self._server.mount(broker)
        try:
            yield broker
        finally:
            self._server.unmount()
            self._server.mount(self._plain)


def traffic_of(broker: Broker) -> str:
    """Each exchange that the broker saw, its verdict and the hint; secrets masked."""
    lines = []
    for exchange in broker.journal:
        lines.append(describe(exchange))
        lines += [f"    hint: {hint}" for hint in {b.hint for b in exchange.breaches if b.hint}]
    return "\n".join(lines) or "the broker saw no request"
