"""The broker behind ``auth_broker``: one server for the session, clean for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from mockbroker.broker.profiles import ConfigError, profile_named
from mockbroker.fake_broker import Broker
from mockbroker.model.exchange_text import describe
from mockbroker.server.certificates import throw_away_certificate
from mockbroker.server.listener import Server

__all__ = ["BrokerSession", "traffic_of"]

_SETTINGS = frozenset({"expires_in", "profile", "strict", "tls"})


class BrokerSession:
    """Server of the session, on which each test has its own broker.

    A test whose marker asks for TLS gets a second server, which then keeps running as well.

    Tests of one process only: under pytest-xdist each worker has its own servers. A test and its
    client's threads may use the broker at once.

    The plain server starts at once and keeps its port, so that an application may read the URL
    once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._plain = Broker()
        self._servers = contextlib.ExitStack()

    def __enter__(self) -> BrokerSession:
        self._server = self._servers.enter_context(Server())
        _mount(self._server, self._plain)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._servers.close()

    @cached_property
    def _tls_server(self) -> Server:
        certificate = throw_away_certificate(self._directory)
        # Made at first use: a key and a certificate would slow down every run.
        return self._servers.enter_context(Server(tls=certificate))

    @contextlib.contextmanager
    def for_test(self, item: pytest.Item) -> Iterator[Broker]:
        """Return the broker for one test, with the settings of its marker.

        Raises pytest.UsageError if the marker has an invalid setting.

        ``profile`` and ``tls`` need a broker of their own, which takes the place of the session's
        for that test.
        """
        settings = _settings_of(item)
        if settings.keys() & {"profile", "tls"}:
            with self._special(item, settings) as broker:
                yield broker
            return
        broker = self._plain
        # Reset before the test, not after it: the report of a teardown that fails has the traffic
        # as well.
        broker.reset()
        with _marker_errors(item):
            broker.expires_in = settings.get("expires_in", broker.expires_in)
            broker.strict = settings.get("strict", broker.strict)
        try:
            yield broker
        finally:
            # Answers that the test has delayed must not keep the server's threads for the next
            # test.
            broker.release()

    @contextlib.contextmanager
    def _special(self, item: pytest.Item, settings: dict[str, Any]) -> Iterator[Broker]:
        """Provide a broker that one test has for itself, with a profile or TLS of its own."""
        speaks_tls = settings.pop("tls", False)
        server = self._tls_server if speaks_tls else self._server
        with _marker_errors(item):
            name = settings.pop("profile", "autograb")
            # From the root of the project, because pytest may be started in any folder of it.
            profile = profile_named(name, directory=item.config.rootpath)
            broker = Broker(profile=profile, **settings)
        with _mounted(server, broker, before=None if speaks_tls else self._plain):
            yield broker


@contextlib.contextmanager
def _marker_errors(item: pytest.Item) -> Iterator[None]:
    """Raise pytest.UsageError, which names the test, for a value that a broker rejects."""
    try:
        yield
    except (ConfigError, TypeError, ValueError) as error:
        raise pytest.UsageError(f"{item.nodeid}: the auth_broker marker: {error}") from error


def _mount(server: Server, broker: Broker) -> None:
    """Mount a broker with its control API, for tests in which another program drives it."""
    server.mount(broker)
    server.mount_control(broker)


@contextlib.contextmanager
def _mounted(server: Server, broker: Broker, before: Broker | None) -> Iterator[None]:
    """Mount the broker on the server, and restore the one from before, if any, afterwards."""
    # The session's own broker is at the same path, which is part of the URL that tests know.
    if before is not None:
        server.unmount()
    _mount(server, broker)
    try:
        yield
    finally:
        server.unmount()
        if before is not None:
            _mount(server, before)


def _settings_of(item: pytest.Item) -> dict[str, Any]:
    """Return the settings of the test's closest marker.

    Raises pytest.UsageError for an unknown setting.
    """
    marker = item.get_closest_marker("auth_broker")
    if marker is None:
        return {}
    unknown = sorted(marker.kwargs.keys() - _SETTINGS)
    if unknown or marker.args:
        # All of them at once, so that a user corrects a marker in one go.
        named = ", ".join([*unknown, *map(repr, marker.args)])
        raise pytest.UsageError(
            f"{item.nodeid}: the auth_broker marker has no setting {named}; "
            f"there are {', '.join(sorted(_SETTINGS))}, each as setting=value"
        )
    # A copy, because entries are removed from it, and tests of a class may share the marker.
    return dict(marker.kwargs)


def traffic_of(broker: Broker) -> str:
    """Return each exchange that the broker saw, with verdict and hint; secrets masked.

    The text is for the report of a failed test, which is often published by a CI service.
    """
    lines = []
    for exchange in broker.journal:
        lines.append(describe(exchange))
        hints = dict.fromkeys(b.hint for b in exchange.breaches if b.hint)
        lines += [f"    hint: {hint}" for hint in hints]
    # Said in words: an empty section would look like a failure of the plugin.
    text = "\n".join(lines) or "the broker saw no request"
    return broker.masked(text)
