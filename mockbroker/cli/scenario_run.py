"""A scenario while a command serves: it applies what the plan says is due, and logs it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import click

from mockbroker.broker.faults import Fault
from mockbroker.broker.profiles import ConfigError
from mockbroker.broker.scenario import (
    AdvanceClock,
    ExpireTokens,
    Lifetime,
    PlannedEvent,
    RevokeTokens,
    RotateSecret,
    Scenario,
    load_scenario,
)
from mockbroker.broker.scenario_plan import Occurrence, Plan, Seen
from mockbroker.cli.console import event_line
from mockbroker.cli.made_broker import find_profile
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.streams import echo
from mockbroker.contract.authentication import Basic, Body, accepted_methods
from mockbroker.contract.authentication.body import Query
from mockbroker.fake_broker import Broker
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.token_request import TokenRequest

__all__ = ["ScenarioRun", "running_scenario", "scenario_of"]

POLL_SECONDS = 0.1
"""How often events that wait for seconds are looked at while no request comes, in real seconds."""

_WITH_SECRET = {Basic.name, Body.name, Query.name}
"""The authentication methods by which a client presents its secret."""


class ScenarioRun:
    """A scenario that is applied to a broker; thread-safe.

    ``on_event`` is called with each event that happens, and the broker's time in Unix seconds.
    """

    def __init__(
        self, broker: Broker, scenario: Scenario, on_event: Callable[[PlannedEvent, float], None]
    ) -> None:
        self._broker = broker
        self._on_event = on_event
        self._plan = Plan.of(scenario)
        self._seen = Seen()
        self._counts: Counter[int] = Counter()
        self._replaced: tuple[Credentials, ...] = ()
        self._last_now = broker.clock.now()
        self._lock = threading.Lock()
        broker.plan_faults(self._before_request)

    @property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """The outcome of each event so far, in the order of the file."""
        with self._lock:
            return tuple(
                Occurrence(
                    event=event,
                    happened=index not in self._plan.waiting,
                    requests=self._counts[index],
                )
                for index, event in enumerate(self._plan.scenario.events)
            )

    def is_excused(self, exchange: Exchange, breach: Breach) -> bool:
        """Return whether the app breaks a clause only because the scenario rotated its secret.

        It presents the secret that it was given, and cannot know the other one.
        """
        if not breach.clause_id.endswith(".credentials"):
            return False
        request, profile = TokenRequest.of(exchange.request), self._broker.profile
        return any(
            method.presents(request, old)
            for method in accepted_methods(profile)
            for old in self._replaced
        )

    def catch_up(self) -> bool:
        """Apply the events whose seconds have passed; return whether others wait for seconds."""
        with self._lock:
            self._apply_due(only_timed=True)
            return self._plan.waits_for_time

    def _before_request(self, endpoint: Endpoint) -> Fault | None:
        """Apply what is due; count the request, and return the fault that the plan has for it."""
        with self._lock:
            self._apply_due()
            self._seen = self._seen.plus(endpoint)
            effect = self._plan.effect_on(endpoint, self._seen)
            if effect is None:
                return None
            self._counts[effect.index] += 1
            return effect.fault

    def _apply_due(self, *, only_timed: bool = False) -> None:
        """Apply the events that are due; needs the lock."""
        # An event may move the clock, by which others become due.
        while True:
            self._seen = self._seen.later(self._seconds_since_last())
            self._plan, due = self._plan.after(self._seen, only_timed=only_timed)
            if not due:
                return
            for event in due.values():
                # First, so that the log has the event before its effects.
                self._on_event(event, self._last_now)
                if isinstance(event, RotateSecret):
                    self._replaced += (_rotate(event, self._broker),)
                else:
                    _apply(event, self._broker)

    def _seconds_since_last(self) -> float:
        """Return by how much the broker's clock has moved since the last call."""
        now, before = self._broker.clock.now(), self._last_now
        self._last_now = now
        # A reset of the broker, or of the machine's time, moves the clock back. No time has passed.
        return max(0.0, now - before)


def _apply(event: PlannedEvent, broker: Broker) -> None:
    """Do to the broker what the event says, except for errors of endpoints, which the plan has."""
    match event:
        case RevokeTokens():
            broker.revoke_tokens()
        case ExpireTokens():
            for token in broker.tokens:
                # The broker may have forgotten the token in the meantime.
                with contextlib.suppress(KeyError):
                    broker.expire_token(token.value)
        case Lifetime():
            broker.expires_in = event.expires_in
        case AdvanceClock():
            broker.clock.advance(event.seconds)


def _rotate(event: RotateSecret, broker: Broker) -> Credentials:
    """Replace the secret of a client; its keys stay. Return its old credentials."""
    first = broker.credentials
    client_id = event.client or first.client_id
    registered = {each.client_id: each for each in broker.registered}
    # The control API may have removed the client. It is then registered again.
    known = registered.get(client_id, Credentials(client_id, event.secret))
    rotated = broker.register(
        client_id, event.secret, public_keys=known.public_keys, key_id=known.key_id
    )
    if client_id == first.client_id:
        broker.credentials = rotated
    return known


def scenario_of(settings: ServeSettings, *, for_audit: bool = False) -> Scenario | None:
    """Return the scenario of ``--scenario``, or None without one.

    Called before a port is opened: a wrong file must not leave a server behind. Raises
    click.ClickException, with a message of one sentence.
    """
    if settings.scenario is None:
        return None
    for option, is_given in (
        ("--state", settings.state is not None),
        ("--workers", settings.workers > 1),
        ("--issuer", bool(settings.issuers)),
    ):
        if is_given:
            raise click.UsageError(
                f"--scenario does not go with {option}: it counts the requests of one broker in "
                "one process"
            )
    try:
        client_ids = [each.client_id for each in settings.clients]
        scenario = load_scenario(settings.scenario, client_ids)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if for_audit and any(isinstance(each, AdvanceClock) for each in scenario.events):
        # The audit would take each use of a token that has expired so for a mistake of the app.
        raise click.ClickException(
            f"{settings.scenario}: advance-clock moves the broker's clock only, and an audit would "
            "blame the app; use expire-tokens, or a short lifetime"
        )
    profile = find_profile(settings.profile, settings.config)
    rotates = any(isinstance(each, RotateSecret) for each in scenario.events)
    if rotates and not _WITH_SECRET & set(profile.authentication_methods):
        raise click.ClickException(
            f"{settings.scenario}: clients of profile {profile.name} have no secret to rotate; "
            "remove the event rotate-secret"
        )
    return scenario


@contextlib.contextmanager
def running_scenario(scenario: Scenario | None, broker: Broker) -> Iterator[ScenarioRun | None]:
    """Apply a scenario to a broker while the block runs, and print each event that happens."""
    if scenario is None:
        yield None
        return
    run = ScenarioRun(broker, scenario, lambda event, now: echo(event_line(now, event)))
    ended = threading.Event()

    def watch_time() -> None:
        """Apply the events that wait for seconds, also while no request comes."""
        while run.catch_up() and not ended.wait(POLL_SECONDS):
            pass

    watcher = threading.Thread(target=watch_time, name="mockbroker-scenario")
    watcher.start()
    try:
        yield run
    finally:
        ended.set()
        watcher.join()
