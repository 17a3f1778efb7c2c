"""Client session: one broker, one client, time, and the trace of all events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn

from mockbroker.broker.client_keys import equipped, key_algorithm_of, needs_of
from mockbroker.contract.authentication import takes_secret
from mockbroker.contract.clause import Clause
from mockbroker.contract.judging import breaches_alone
from mockbroker.fake_broker import Broker
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Exchange, Trace
from mockbroker.model.token_request import TokenRequest
from mockbroker.report.steps import (
    BrokerStarted,
    ClientKilled,
    ClientMade,
    ClientRestarted,
    ClientUsed,
    ClientUsedAtOnce,
    CredentialsConfigured,
    LifetimeChanged,
    SeedChosen,
    Step,
    TimePassed,
)
from mockbroker_contract.drivers.driver import (
    GET_TOKEN,
    REQUEST,
    Answer,
    ArrangedUses,
    Driver,
    Holdings,
    Raised,
)
from mockbroker_contract.drivers.exposure import Exposure
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.client_actions import ClientActions
from mockbroker_contract.harness.endings import ClientHung, TooManyRequests
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import Recorder
from mockbroker_contract.harness.run import ContractRun
from mockbroker_contract.harness.session_judge import SessionJudge

__all__ = ["ClientSession"]

_LONGEST_WAIT = 3.0
"""Longest wait in one step, in seconds of real time."""
# The test vehicle of the provider's documentation.
VEHICLE = "/vehicle/1111111111111111?region=uk"


class ClientSession:
    """One client with its own broker, on a path prefix that no other client has used.

    The broker is lenient, so that one defect does not fail every clause. When the context ends, the
    trace is judged. A breach of ``clause`` raises ContractBreached; any other breach is noted for
    its own clause. ``elsewhere`` names clauses that are judged in another way.

    The broker is a new one, a shared ``broker``, or a copy of ``neighbour`` at the same path of
    another origin. ``config`` overrides the client's configuration. ``deadline`` is the limit of
    one use in seconds of real time, by default the run's. If the broker speaks TLS, configuration
    and environment of the client name its CA, unless ``trusts_broker`` is False. Clients that share
    a ``recorder`` have a ``name`` in its steps.
    """

    def __init__(
        self,
        run: ContractRun,
        clause: Clause,
        *,
        credentials: Credentials,
        expires_in: float = 3599,
        scope: str = "",
        broker: Broker | None = None,
        neighbour: Broker | None = None,
        elsewhere: Iterable[Clause] = (),
        config: dict[str, Any] | None = None,
        deadline: float | None = None,
        recorder: Recorder | None = None,
        name: str = "",
        trusts_broker: bool = True,
    ) -> None:
        self._run = run
        self._name = name
        # A provider that requires a scope refuses a client that is configured without one.
        profile = run.settings.profile
        scope = scope or (profile.example_scope if profile.scope_required else "")
        self._scope = scope
        self.credentials = equipped(credentials, needs_of(run.settings.profile))
        if neighbour is not None:
            self.broker = run.brokers.copy_at_another_origin(neighbour)
        else:
            self.broker = broker or run.brokers.new(credentials, expires_in, scope)
        self._owns_broker = broker is None
        self.recorder = recorder or Recorder(self.broker)
        self._judge = SessionJudge(run, self.recorder, clause, tuple(elsewhere))
        self._actions = ClientActions(
            run,
            self.broker,
            self.recorder,
            self._config(config or {}, self.broker.ca_file if trusts_broker else None),
            clause_id=clause.id,
            deadline=run.hangs.deadline(run.settings.deadline if deadline is None else deadline),
        )
        # Once for a shared recorder: the seed is the first of all steps.
        if run.settings.seed is not None and self.recorder.is_empty:
            self.record(SeedChosen(seed=run.settings.seed))
        # A shared broker is started and retired by the session or context that made it.
        if self._owns_broker:
            self.record(BrokerStarted(expires_in=expires_in))

    def _config(self, changes: dict[str, Any], ca_file: str | None) -> ClientConfig:
        settings = {
            "token_url": self.broker.token_url,
            "api_base_url": self.broker.api_url,
            **self._authentication(self.credentials),
            "timeout": self._run.settings.client_timeout,
            "scope": self._scope,
            "ca_file": ca_file,
            "parameters": {
                **self.broker.profile.parameters,
                **self.broker.profile.open_parameters,
            },
        }
        return ClientConfig(**{**settings, **changes})

    def _authentication(self, credentials: Credentials) -> dict[str, Any]:
        """Return the settings by which the client authenticates."""
        profile = self.broker.profile
        algorithm = key_algorithm_of(profile)
        keyed = equipped(credentials, needs_of(profile))
        return {
            "client_id": keyed.client_id,
            # A client that has a key in its place has no secret to send by mistake.
            "client_secret": keyed.client_secret if takes_secret(profile) else "",
            "private_key": keyed.private_key if algorithm else "",
            "key_id": keyed.key_id if algorithm else "",
            "algorithm": algorithm,
            "audience": self.broker.audience if algorithm else "",
            "certificate_file": keyed.certificate_file,
            "key_file": keyed.key_file,
        }

    @property
    def config(self) -> ClientConfig:
        """The client's configuration."""
        return self._actions.config

    def control(self) -> ClientSession:
        """Return a session with the same settings and without faults, as a control."""
        # Faults are scripted in a broker, so the control has a new one.
        return ClientSession(
            self._run,
            self._judge.clause,
            credentials=self.credentials,
            expires_in=self.broker.expires_in,
            scope=self._scope,
            elsewhere=self._judge.elsewhere,
        )

    # -- what happens --------------------------------------------------------------------------

    def record(self, step: Step) -> None:
        """Record a step."""
        self.recorder.add(step)

    def show_credentials(self) -> None:
        """Record the client's credentials as a step, because the test case is about them.

        They are the kit's own, so no secret of the user is shown.
        """
        pair = self.credentials
        self.record(
            CredentialsConfigured(client_id=pair.client_id, client_secret=pair.client_secret)
        )

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass. Raises NotTested if that takes too long in real time."""
        if not self.can_pass(seconds):
            raise NotTested(
                f"the client's clock could not be moved, and {seconds:g} s are too long to wait"
            )
        if seconds:
            self.record(TimePassed(seconds=seconds))
            self._run.time.advance(seconds)

    def now(self) -> float:
        """Return the run's time, in Unix seconds."""
        return self._run.time.now()

    def can_pass(self, seconds: float) -> bool:
        """Return whether that many seconds can pass without a long wait in real time."""
        return self._run.time.is_virtual or seconds <= _LONGEST_WAIT

    def issue_with(self, expires_in: float) -> None:
        """Issue tokens with that lifetime, in seconds, from now on."""
        if expires_in != self.broker.expires_in:
            self.broker.expires_in = expires_in
            self.record(LifetimeChanged(expires_in=expires_in))

    @property
    def trace(self) -> Trace:
        """The exchanges and uses so far."""
        return self._actions.trace

    @property
    def has_broken_request(self) -> bool:
        """Whether a request so far breaks this session's clause by itself."""
        broken = (b.clause_id for e in self.trace.exchanges for b in breaches_alone(e))
        return self._judge.clause.id in broken

    @property
    def sends_scope(self) -> bool:
        """Whether a token request so far had a scope, wherever parameters may be.

        Other clauses judge the place and the name.
        """
        names = {"scope", self.broker.profile.parameter_names.scope}
        requests = [TokenRequest.of(exchange.request) for exchange in self.trace.token_requests]
        return any(names & (each.names_in_body | each.names_in_query) for each in requests)

    @property
    def is_delayed(self) -> bool:
        """Whether a use failed after the client's timeout: a busy machine may be the cause."""
        return self._actions.is_delayed

    # -- using the client ----------------------------------------------------------------------

    def make(self) -> None:
        """Make the client, if it is not made yet, and record that as a use."""
        self._actions.make(ClientMade(client=self._name))

    def use(self, operation: str = "", path: str = VEHICLE) -> Outcome:
        """Use the client once: ``get_token``, or a signed GET; by default what it offers first."""
        if (operation or self._run.capabilities[0]) == GET_TOKEN:
            used = ClientUsed(client=self._name, operation=GET_TOKEN)
            return self._of_this_broker(
                self._actions.perform(used, lambda client: client.get_token())
            )
        return self.call("GET", self.broker.api_url + path)

    def call(self, method: str, url: str, **kwargs: Any) -> Outcome:
        """Have the client make a signed call of that absolute URL."""
        used = ClientUsed(
            client=self._name, operation=REQUEST, method=method, target=self.recorder.target(url)
        )
        return self._of_this_broker(
            self._actions.perform(used, lambda client: client.request(method, url, **kwargs))
        )

    def use_well(self, operation: str = "") -> Outcome:
        """Use the client while no fault is scripted.

        Raises NotTested if it does not obtain a valid token.
        """
        outcome = self.use(operation)
        self._actions.needs_token(outcome)
        return outcome

    def use_replaces(self, token: AccessToken | None, operation: str = "") -> bool:
        """Use the client; return whether it replaced the token, also in the background.

        Raises NotTested if it neither has a token nor requests one.
        """
        return self._actions.replaces(token, lambda: self.use(operation))

    def use_periodically(self, operation: str, count: int, seconds: float) -> None:
        """Use the client ``count`` times, each after that many seconds of the run's time.

        A driver that can does all of it in one operation, of which no step is recorded. Raises
        NotTested if a use fails.
        """
        if not self._run.clients.arranges_uses:
            for _ in range(count):
                self.advance(seconds)
                self.use_well(operation)
            return
        call = self.call_of(operation)
        answer = self._actions.ask(
            lambda driver: _arranged(driver).use_periodically(operation, count, seconds, **call)
        )
        if answer.value != count:
            raise NotTested("the client failed or did not return")

    def use_at_once(self, operation: str, count: int) -> list[Outcome]:
        """Use the client ``count`` times concurrently, in threads or tasks."""

        def act(client: Driver) -> list[Answer]:
            if operation == GET_TOKEN:
                return client.get_tokens_at_once(count)
            return client.requests_at_once("GET", self.broker.api_url + VEHICLE, count)

        used = ClientUsedAtOnce(client=self._name, operation=operation, count=count)
        return [self._of_this_broker(each) for each in self._actions.perform_at_once(used, act)]

    def _of_this_broker(self, outcome: Outcome) -> Outcome:
        self._judge.must_be_of_this_broker(outcome, is_delayed=self.is_delayed)
        return outcome

    def use_arranged(
        self, operation: str, count: int, arrange: Callable[[ArrangedUses], list[Answer]]
    ) -> list[Outcome]:
        """Use the client ``count`` times, as ``arrange`` begins and finishes the uses.

        Raises NotApplicable if the driver has no such operations.
        """
        used = ClientUsedAtOnce(client=self._name, operation=operation, count=count)
        outcomes = self._actions.perform_at_once(used, lambda driver: arrange(_arranged(driver)))
        return [self._of_this_broker(each) for each in outcomes]

    def use_forked(self, operation: str) -> Outcome:
        """Use the client once in a forked child of its process. Raises as `use_arranged` does."""
        call = self.call_of(operation)
        used = ClientUsed(
            client=self._name,
            operation=operation,
            method=call.get("method", ""),
            target=self.recorder.target(call["url"]) if call else "",
            is_forked=True,
        )
        return self._of_this_broker(
            self._actions.perform(
                used, lambda driver: _arranged(driver).use_forked(operation, **call)
            )
        )

    def use_in_processes(self, operation: str, count: int) -> list[Outcome]:
        """Make a client in each of ``count`` processes, and use each once, all at once.

        Raises as `use_arranged` does.
        """
        call = self.call_of(operation)
        used = ClientUsedAtOnce(
            client=self._name, operation=operation, count=count, in_processes=True
        )
        outcomes = self._actions.perform_at_once(
            used, lambda driver: _arranged(driver).use_in_processes(count, operation, **call)
        )
        return [self._of_this_broker(each) for each in outcomes]

    @property
    def event_loop(self) -> str:
        """The framework of the client's event loop; empty for a synchronous client.

        Raises NotApplicable if the driver does not know.
        """
        return self._actions.ask(lambda driver: _arranged(driver).event_loop)

    def change_loop(self) -> None:
        """Close the client's event loop; its next use makes another one."""
        self._actions.ask(lambda driver: _arranged(driver).change_loop())

    def holdings(self) -> Holdings:
        """Return what the client holds in its process. Raises NotApplicable as above."""
        return self._actions.ask(lambda driver: _arranged(driver).holdings())

    def threads_after_close(self) -> list[str]:
        """Close and drop the client; return the names of its threads that a program waits for.

        The client cannot be used after that. Raises NotApplicable as above.
        """
        return self._actions.ask(lambda driver: _arranged(driver).threads_after_close())

    def call_of(self, operation: str) -> dict[str, str]:
        """Return the method and URL of a signed call; empty for get_token."""
        if operation == GET_TOKEN:
            return {}
        return {"method": "GET", "url": self.broker.api_url + VEHICLE}

    def restart(self, *, in_new_process: bool = False, secret: str | None = None) -> None:
        """End the client; its next use makes it again, with the same settings and files.

        ``secret`` replaces the one in its settings, and its key. ``in_new_process`` ends its
        process as well, and the clients of other sessions with it.
        """
        self._actions.close()
        if in_new_process:
            self._run.clients.restart()
        if secret is not None:
            renewed = Credentials(self.credentials.client_id, secret)
            self._actions.config = replace(self.config, **self._authentication(renewed))
        self.record(
            ClientRestarted(in_new_process=in_new_process, has_new_secret=secret is not None)
        )

    def begin(self, operation: str) -> None:
        """Make the client, and have it begin a use that is not waited for.

        Raises NotApplicable if the driver has no such operation.
        """
        self.make()
        call = self.call_of(operation)
        self._actions.ask(lambda driver: _arranged(driver).begin(operation, 1, **call))

    def kill(self) -> None:
        """Kill the process of the client; its next use makes it again, with the same files.

        The clients of other sessions end as well. Raises NotApplicable as `begin` does.
        """
        self._actions.ask(lambda driver: _arranged(driver).kill())
        self._actions.close()
        self.record(ClientKilled())

    def watch(self) -> Exposure:
        """Record what the client makes visible from its creation on."""
        return self._actions.watch()

    def look_at_waits(self) -> None:
        """End a use early once it is certain that the client waits beyond its deadline.

        Called before the client is made, while the broker answers nothing.
        """
        self._actions.looks_at_waits = True

    def look(self) -> None:
        """Fetch the texts visible so far. Raises ClientHung if the client's repr hangs."""
        self._actions.look()

    # -- judging -------------------------------------------------------------------------------

    def breach(
        self, what: str, expected: str, exchanges: Iterable[Exchange] = (), *, hint: str = ""
    ) -> NoReturn:
        """Raise ContractBreached for this session's clause; ``hint`` names the likely mistake."""
        self.breach_of(self._judge.clause, what, expected, exchanges, hint=hint)

    def breach_of(
        self,
        clause: Clause,
        what: str,
        expected: str,
        exchanges: Iterable[Exchange] = (),
        *,
        hint: str = "",
    ) -> NoReturn:
        """Raise ContractBreached for that clause."""
        self._judge.breach_of(
            clause, what, expected, exchanges, hint=hint, is_delayed=self.is_delayed
        )

    def not_tested(self, reason: str) -> NoReturn:
        """Raise NotTested for this session's clause, with the steps and exchanges so far."""
        self._actions.not_tested(reason)

    def masked(self, error: Raised) -> str:
        """Return an error as printable text: its type, and its message masked."""
        return self.recorder.error(error)

    def __enter__(self) -> ClientSession:
        # The previous client may have removed its folders. While another session is open, the
        # client of that session uses them.
        if self._run.brokers.session_opened():
            self._run.sandbox.restore()
        return self

    def note_flood(self, flood: TooManyRequests) -> None:
        """Note the breach of errors.bounded, for a test case that goes on after it."""
        self._judge.stopped(flood)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # The client first: it may send requests while it closes, which the broker must record.
            self._actions.close()
            if self._owns_broker:
                self._run.brokers.retire(self.broker)
        finally:
            # Also after an error: tokens expire only while no session is open.
            self._run.brokers.session_closed()
        # What a client that was stopped has sent shows nothing but that, and blocks the clause.
        if isinstance(error, TooManyRequests):
            self._judge.stopped(error)
        # After the close, so that requests of a closing client are judged as well.
        elif error is None or isinstance(error, (NotTested, ClientHung)):
            # A hang is the finding on the own clause; the requests before it count for the others.
            is_own_judged = not isinstance(error, ClientHung)
            self._judge.judge(self.trace, own=is_own_judged, is_delayed=self.is_delayed)


def _arranged(driver: Driver) -> ArrangedUses:
    if driver.arranged is None:
        raise NotApplicable("the driver protocol has no operation for it")
    return driver.arranged
