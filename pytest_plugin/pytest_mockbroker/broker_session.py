"""The brokers behind the fixtures: that of the session, and those of single tests."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from mockbroker.broker.faults import UnappliedFaultWarning
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.server.certificates import throw_away_certificate
from mockbroker.server.listener import Server
from pytest_mockbroker.broker_settings import IniSettings, marker_errors, marker_settings
from pytest_mockbroker.earlier_tests import EarlierTests, FixtureBroker
from pytest_mockbroker.markers import RAISED
from pytest_mockbroker.set_up import SetUp
from pytest_mockbroker.surroundings import obstacles, variables_without_proxy
from pytest_mockbroker.traffic import handler_errors_text, late_text, traffic_of

__all__ = ["BrokerSession"]

_SESSION_FIXTURE = "auth_broker_session"
_FIXTURES = frozenset({"auth_broker", _SESSION_FIXTURE})


class BrokerSession:
    """The servers and brokers of one run of tests, each started at first use.

    A test has a broker of its own, at a URL that tests share. If the environment has the settings
    of the session's broker, or the test uses ``auth_broker_session``, it has the session's broker,
    reset for the test.

    Tests of one process only: under pytest-xdist each worker has its own servers. A test and its
    client's threads may use the broker at once.
    """

    def __init__(self, settings: IniSettings) -> None:
        self._settings = settings
        self._closing = contextlib.ExitStack()
        self._servers: dict[bool, Server] = {}
        # The latest of the brokers that single tests have, and its server. The same broker may be
        # mounted on two servers in turn; its URLs are those of the latest.
        self._mounted: tuple[Server, Broker] | None = None
        self._earlier = EarlierTests()
        # Clients of tests that have ended; nothing removes them before the next reset.
        self._leftover: frozenset[Credentials] = frozenset()
        self._has_environment = bool(settings.environment)
        # Before the app makes a client: some HTTP clients read these variables only once.
        _set_variables(variables_without_proxy(), self._closing)

    def close(self) -> None:
        """Stop the servers, and restore the environment."""
        self._closing.close()

    # Servers

    def _new_server(self, *, tls: bool) -> Server:
        certificate = self._certificate if tls else None
        return self._closing.enter_context(Server(tls=certificate))

    @cached_property
    def _certificate(self) -> Any:
        # Made at first use: a key and a certificate would slow down every run.
        directory = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="auth-broker-"))
        return throw_away_certificate(Path(directory))

    @cached_property
    def _uses_tls(self) -> bool:
        """Whether brokers of the session speak TLS: also if clients authenticate by it."""
        return self._settings.tls or bool(self._profile(None).certificate_method)

    @cached_property
    def _session_server(self) -> Server:
        return self._new_server(tls=self._uses_tls)

    @cached_property
    def broker(self) -> FixtureBroker:
        """The broker of the session, at a URL that never changes."""
        broker = FixtureBroker(self._earlier, profile=self._settings.profile_of_session())
        _mount(self._session_server, broker)
        return broker

    def set_environment(self) -> None:
        """Put the variables of ``auth_broker_env`` into the environment until the end."""
        _set_variables(self._settings.environment_for(self.broker), self._closing)

    # Tests

    @contextlib.contextmanager
    def for_test(self, item: pytest.Item) -> Iterator[Broker]:
        """Return the broker for one test, with the settings of its marker.

        Raises pytest.UsageError if the marker has an invalid setting.
        """
        settings = marker_settings(item)
        is_shared = self._has_environment or _SESSION_FIXTURE in getattr(item, "fixturenames", ())
        provided = self._shared if is_shared else self._own
        with provided(item, settings) as broker:
            try:
                yield broker
                _check_use(broker, item, is_strict=self._settings.strict_faults)
            finally:
                broker.end_travel()
                # Answers that the test has delayed must not keep the server's threads for the next
                # test.
                broker.release()

    @contextlib.contextmanager
    def _own(self, item: pytest.Item, settings: dict[str, Any]) -> Iterator[Broker]:
        """Provide a broker that one test has for itself, with credentials of its own."""
        chosen = settings.pop("tls", self._settings.tls)
        name = settings.pop("profile", None)
        with marker_errors(item):
            if name is None:
                broker = self._plain
                broker.renew()
                for setting, value in settings.items():
                    setattr(broker, setting, value)
            else:
                broker = FixtureBroker(self._earlier, profile=self._profile(name), **settings)
        tls = chosen or broker.asks_for_certificates
        if tls not in self._servers:
            self._servers[tls] = self._new_server(tls=tls)
        server = self._servers[tls]
        self._earlier.begin(broker.credentials)
        # The broker of the test before is there until now, so that requests of its threads find it.
        # The same one stays: mounting it takes longer than all the rest.
        if self._mounted != (server, broker):
            if "" in server.mounts:
                server.unmount()
            _mount(server, broker)
            self._mounted = (server, broker)
        yield broker

    @cached_property
    def _plain(self) -> FixtureBroker:
        """The broker of all tests with the profile of the session, one after another.

        Making one for each test would take longer than most tests.
        """
        return FixtureBroker(self._earlier, profile=self._settings.profile_of_session())

    @contextlib.contextmanager
    def _shared(self, item: pytest.Item, settings: dict[str, Any]) -> Iterator[Broker]:
        """Provide the session's broker, or one in its place, for one test."""
        # An app that has read the URL once cannot be given another.
        why = "the tests of this run share the URL of auth_broker_session"
        if settings.pop("tls", self._uses_tls) != self._uses_tls:
            raise pytest.UsageError(
                f"{item.nodeid}: the auth_broker marker: tls would change the URL, but {why}; set "
                "auth_broker_tls in the ini file instead"
            )
        name = settings.pop("profile", None)
        with marker_errors(item):
            profile = self._profile(name)
        if _paths(profile) != _paths(self.broker.profile):
            raise pytest.UsageError(
                f"{item.nodeid}: the auth_broker marker: profile {profile.name!r} would change the "
                f"URL, but {why}; set auth_broker_profile in the ini file instead"
            )
        with self._reset_broker(), contextlib.ExitStack() as stack:
            broker = self.broker
            if profile != broker.profile:
                broker = FixtureBroker(
                    self._earlier, profile=profile, credentials=broker.credentials
                )
                stack.enter_context(
                    _mounted_instead(self._session_server, broker, before=self.broker)
                )
            with marker_errors(item):
                for setting, value in settings.items():
                    setattr(broker, setting, value)
            self._earlier.begin()
            yield broker

    @contextlib.contextmanager
    def _reset_broker(self) -> Iterator[None]:
        """Reset the session's broker, but keep what fixtures of the session have set up."""
        broker = self.broker
        kept = SetUp.of(broker, self._leftover)
        # Before the test, not after it: the report of a teardown that fails has the traffic as
        # well, and an app keeps a valid token for tests that use the session's broker alone.
        broker.reset()
        kept.apply_to(broker)
        try:
            yield
        finally:
            kept.apply_to(broker)
            self._leftover = frozenset(broker.registered) - frozenset(kept.registered)

    def _profile(self, name: Any) -> Any:
        """Return the profile of a marker, or that of the session for None."""
        if name is None:
            return self._settings.profile_of_session()
        return self._settings.profile_named(name)

    # Reports

    def traffic_of(
        self, item: pytest.Item, broker: Broker | None, error: BaseException | None
    ) -> str:
        """Return the section on a failed test: what its own broker saw, or that of the session.

        ``error`` is the exception of the test, which shows whether a library intercepts requests.
        Empty if the test neither uses a fixture of ours nor sent anything to the session's broker.
        """
        if broker is not None:
            tls, was_reached = broker.ca_file is not None, broker.journal.total > 0
            notes = obstacles(error, tls=tls, was_reached=was_reached)
            late = late_text(self._earlier.late)
            return traffic_of(broker, self._earlier.hint_on, notes=(*late, *notes))
        first = self._earlier.first_number(item.nodeid)
        if first is not None:
            return traffic_of(self.broker, self._earlier.hint_on, since=first - 1)
        # A test that does without the broker may well mock HTTP.
        if not _FIXTURES & set(getattr(item, "fixturenames", ())):
            return ""
        return "\n".join(obstacles(error, tls=self._settings.tls, was_reached=False))

    def check_handlers(self) -> None:
        """Fail if a handler raised while no test had the function fixture."""
        if self.broker.api.errors:
            pytest.fail(_errors_text(self.broker), pytrace=False)


def _set_variables(variables: Mapping[str, str], closing: contextlib.ExitStack) -> None:
    """Set variables of the environment; ``closing`` restores those that were there before."""
    for name, value in variables.items():
        before = os.environ.get(name)
        os.environ[name] = value
        if before is None:
            closing.callback(os.environ.pop, name, None)
        else:
            closing.callback(os.environ.__setitem__, name, before)


def _paths(profile: Any) -> tuple[str, ...]:
    """Return the parts of a profile that the URLs of a broker have."""
    return profile.own_token_path, profile.token_query, profile.api_prefix


def _mount(server: Server, broker: Broker) -> None:
    """Mount a broker with its control API, for tests in which another program drives it."""
    server.mount(broker)
    server.mount_control(broker)


@contextlib.contextmanager
def _mounted_instead(server: Server, broker: Broker, before: Broker) -> Iterator[None]:
    """Mount the broker on the server, and restore the one from before afterwards."""
    server.unmount()
    _mount(server, broker)
    try:
        yield
    finally:
        server.unmount()
        _mount(server, before)


def _check_use(broker: Broker, item: pytest.Item, *, is_strict: bool) -> None:
    """Report mistakes of a test that ran to its end: failed handlers, and faults without effect."""
    # The report of a test that failed has the traffic.
    if item.stash.get(RAISED, False):
        return
    if broker.api.errors:
        pytest.fail(_errors_text(broker), pytrace=False)
    unapplied = broker.unapplied_faults
    if unapplied:
        named = ", ".join(fault.describe() for fault in unapplied)
        text = (
            f"{len(unapplied)} scripted fault{'s' * (len(unapplied) > 1)} never applied, because "
            f"no request came for it: {named}"
        )
        if is_strict:
            pytest.fail(text, pytrace=False)
        warnings.warn(UnappliedFaultWarning(text), stacklevel=2)


def _errors_text(broker: Broker) -> str:
    """Return the exceptions of a broker's handlers, secrets masked."""
    return broker.masked(handler_errors_text(broker.api.errors))
