"""Client session: one broker, one client, time, and the trace of all events."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from msgspec import structs

from mockbroker.broker.clock import real_seconds
from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker.contract.judging import judge_trace
from mockbroker.fake_broker import Broker
from mockbroker.model.breach import Breach
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.report.steps import (
    Action,
    BrokerStarted,
    ClientMade,
    ClientUsed,
    ClientUsedAtOnce,
    DriverEnded,
    LifetimeChanged,
    NeverReturned,
    ProgramEnded,
    ReprTaken,
    SeedChosen,
    SentTooManyRequests,
    Step,
    TimePassed,
    UseOutcome,
)
from mockbroker.report.steps import Raised as RaisedError
from mockbroker.report.wording import action_text, outcome_text
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST, Answer, Driver, Raised
from mockbroker_contract.drivers.exposure import Exposure
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotTested,
    ScenarioEnded,
)
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from mockbroker_contract.harness.outcome import Outcome, outcome_of
from mockbroker_contract.harness.recorder import Recorder
from mockbroker_contract.harness.run import ContractRun

__all__ = ["ClientSession"]

Ended = TypeVar("Ended", bound=ScenarioEnded)

_LONGEST_WAIT = 3.0
"""Longest wait in one step, in seconds of real time."""
_MAX_REQUESTS = 50
_BACKGROUND_SECONDS = 0.03
_SHORTEST_PAUSE = 0.1
VEHICLE = "/vehicle/1111111111111111?region=uk"


@dataclass(frozen=True, slots=True)
class _Moment:
    """Start of an action: exchanges so far, the run's time, and the real time."""

    use: int
    seen: int
    at: float
    real: float


class ClientSession:
    """One client with its own broker, on a path prefix that no other client has used.

    The broker is lenient, so that one defect does not fail every clause. When the context ends, the
    trace is judged. A breach of ``clause`` raises ContractBreached; any other breach is noted for
    its own clause. ``elsewhere`` names clauses that are judged in another way.

    The broker is a new one, a shared ``broker``, or a copy of ``neighbour`` at the same path of
    another origin. ``config`` overrides the client's configuration. ``deadline`` is the limit of
    one use in seconds of real time, by default the run's. The client's environment names the CA
    file ``trusted``, if there is one. Clients that share a ``recorder`` have a ``name`` in its
    steps.
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
        trusted: str | None = None,
    ) -> None:
        self._run = run
        self._clause, self._clause_id = clause, clause.id
        self._elsewhere = tuple(elsewhere)
        self._judged_elsewhere = frozenset(each.id for each in self._elsewhere)
        self._uses: list[Use] = []
        self._name = name
        self._client: Driver | None = None
        self._trusted = trusted
        self.exposure: Exposure | None = None
        """Texts that the client makes visible, if it is watched."""
        self.is_delayed = False
        """Whether a use failed after the client's timeout: a busy machine may be the cause."""
        self._scope = scope
        self._changes = config or {}
        self._wanted_deadline = run.settings.deadline if deadline is None else deadline
        self._deadline = run.hangs.deadline(self._wanted_deadline)
        self.credentials = credentials
        if neighbour is not None:
            self.broker = run.brokers.copy_at_another_origin(neighbour)
        else:
            self.broker = broker or run.brokers.new(credentials, expires_in, scope)
        self._owns_broker = broker is None
        self.recorder = recorder or Recorder(self.broker)
        if run.settings.seed is not None and self.recorder.is_empty:
            self.record(SeedChosen(seed=run.settings.seed))
        if self._owns_broker:
            self.record(BrokerStarted(expires_in=expires_in))

    # -- what happens --------------------------------------------------------------------------

    def record(self, step: Step) -> None:
        """Record a step."""
        self.recorder.add(step)

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
        return Trace(tuple(self.broker.journal), tuple(self._uses))

    @property
    def has_broken_request(self) -> bool:
        """Whether a request so far breaks this session's clause by itself."""
        broken = (b.clause_id for e in self.trace.exchanges for b in e.breaches)
        return self._clause_id in broken

    # -- using the client ----------------------------------------------------------------------

    def make(self) -> None:
        """Make the client, if it is not made yet, and record that as a use.

        A client that requests a token at its creation has had one attempt then. It makes another
        one at its first use. The two must not be counted together.
        """
        if self._client is not None:
            return
        began, made = self._begin(), ClientMade(client=self._name)
        with self._limits(made, began), self._token_requested() as requested:
            answer = self._open()
            # A background thread's request must not count for the first use.
            if self._has_background_work:
                requested.wait(_BACKGROUND_SECONDS)
        self._must_have_returned(made, answer, began)
        error = answer.error
        if error is not None:
            self._record_action(made, began, RaisedError(error=self.masked(error)))
        elif self.broker.journal.total > began.seen:
            self._record_action(made, began)

    def use(self, operation: str = "", path: str = VEHICLE) -> Outcome:
        """Use the client once: ``get_token``, or a signed GET; by default what it offers first."""
        if (operation or self._run.capabilities[0]) == GET_TOKEN:
            used = ClientUsed(client=self._name, operation=GET_TOKEN)
            return self._perform(used, lambda client: client.get_token())
        return self.call("GET", self.broker.api_url + path)

    def call(self, method: str, url: str, **kwargs: Any) -> Outcome:
        """Have the client make a signed call of that absolute URL."""
        used = ClientUsed(
            client=self._name, operation=REQUEST, method=method, target=self.recorder.target(url)
        )
        return self._perform(used, lambda client: client.request(method, url, **kwargs))

    def use_well(self, operation: str = "") -> Outcome:
        """Use the client while no fault is scripted.

        Raises NotTested if it does not obtain a valid token.
        """
        outcome = self.use(operation)
        self._needs_token(outcome)
        return outcome

    def _needs_token(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            raise NotTested(f"the client raised {self.masked(outcome.error)}")
        if outcome.token is None:
            raise NotTested(f"the client {outcome.in_words}")

    def use_replaces(self, token: AccessToken | None, operation: str = "") -> bool:
        """Use the client; return whether it replaced the token, also in the background.

        Raises NotTested if it neither has a token nor requests one.
        """
        with self._token_requested() as requested:
            outcome = self.use(operation)
            if requested.is_set():
                return True
            self._needs_token(outcome)
            if outcome.token != token:
                return True
            return self._has_background_work and requested.wait(_BACKGROUND_SECONDS)

    @contextlib.contextmanager
    def _token_requested(self) -> Iterator[threading.Event]:
        """Provide an event that is set at the first token request in the context."""
        requested = threading.Event()
        end = self.broker.journal.subscribe(
            lambda exchange: requested.set() if exchange.endpoint is Endpoint.TOKEN else None
        )
        try:
            yield requested
        finally:
            end()

    @property
    def _has_background_work(self) -> bool:
        return self._client is not None and self._client.leaves_something_running

    def use_at_once(self, operation: str, count: int) -> list[Outcome]:
        """Use the client ``count`` times concurrently, in threads or tasks."""
        began = self._begin()
        used = ClientUsedAtOnce(client=self._name, operation=operation, count=count)
        with self._driver_failures_recorded(used, began):
            answer = self._open() if self._client is None else Answer()
            answers = [answer] * count if self._client is None else self._at_once(operation, count)
        exchanges = self._exchanges_since(began)
        self._note_delay(answers, began)
        if any(one.hung for one in answers):
            self._hang(used, began)
        outcomes = [outcome_of(operation, one, exchanges, self.broker) for one in answers]
        good = sum(outcome.is_good for outcome in outcomes)
        self._record_use(began, outcomes[0])
        self._record_action(structs.replace(used, good=good), began)
        for outcome in outcomes:
            self._must_be_of_this_broker(outcome)
        return outcomes

    def _at_once(self, operation: str, count: int) -> list[Answer]:
        assert self._client is not None
        if operation == GET_TOKEN:
            return self._client.get_tokens_at_once(count)
        return self._client.requests_at_once("GET", self.broker.api_url + VEHICLE, count)

    def _begin(self) -> _Moment:
        number = next(self._run.use_numbers)
        self.broker.current_use = number
        return _Moment(number, self.broker.journal.total, self._run.time.now(), real_seconds())

    def _exchanges_since(self, began: _Moment) -> tuple[Exchange, ...]:
        return tuple(self.broker.journal.since(began.seen))

    def _perform(self, action: ClientUsed, act: Callable[[Driver], Answer]) -> Outcome:
        began = self._begin()
        with self._limits(action, began):
            answer = self._open() if self._client is None else Answer()
            if self._client is not None:
                answer = act(self._client)
        exchanges = self._exchanges_since(began)
        is_delayed = self._note_delay([answer], began)
        self._must_have_returned(action, answer, began)
        outcome = outcome_of(action.operation, answer, exchanges, self.broker)
        outcome = replace(outcome, is_delayed=is_delayed)
        waited = self._run.time.now() - began.at
        self._record_use(began, outcome)
        error = outcome.error
        done = structs.replace(
            action,
            status=outcome.status,
            waited_seconds=round(waited, 3) if self._shows_pause(waited) else 0.0,
        )
        ending = outcome.result if error is None else RaisedError(error=self.masked(error))
        self._record_action(done, began, ending)
        self._must_be_of_this_broker(outcome)
        return outcome

    def _shows_pause(self, seconds: float) -> bool:
        """Return whether a pause is the client's doing, and not that of a busy machine."""
        return self._run.time.is_virtual and seconds > _SHORTEST_PAUSE

    def _record_action(
        self, action: Action, began: _Moment, outcome: UseOutcome | None = None
    ) -> None:
        """Record an action with its outcome."""
        since = began.at if self._run.time.is_virtual else None
        self.record(
            structs.replace(
                action,
                outcome=outcome,
                exchanges=tuple(exchange.number for exchange in self._exchanges_since(began)),
                issued=self.recorder.issued(since),
            )
        )

    def _must_have_returned(self, action: Action, answer: Answer, began: _Moment) -> None:
        if answer.hung:
            self._hang(action, began)
        if answer.error is not None and answer.error.is_exit:
            ending = ProgramEnded(error=self.masked(answer.error))
            self._record_action(action, began, ending)
            raise self._with_evidence(
                ClientCrashed(f"{action_text(action)} {outcome_text(ending)}")
            )

    def _with_evidence(self, ended: Ended) -> Ended:
        ended.reason, ended.details = self.recorder.masked((ended.reason, ended.details))
        ended.steps, ended.records = self.recorder.steps(), self.recorder.records()
        return ended

    def _note_delay(self, answers: Iterable[Answer], began: _Moment) -> bool:
        """Return whether a use failed after the client's timeout, perhaps by a busy machine."""
        is_past_timeout = real_seconds() - began.real >= self.config.timeout
        is_delayed = is_past_timeout and any(answer.error is not None for answer in answers)
        self.is_delayed |= is_delayed
        return is_delayed

    @contextlib.contextmanager
    def _limits(self, action: Action, began: _Moment) -> Iterator[None]:
        with self._bounded_requests(began.seen), self._driver_failures_recorded(action, began):
            yield

    def _bounded_requests(self, seen: int) -> _RequestLimit:
        return _RequestLimit(self.broker, seen + _MAX_REQUESTS, self._cut_off)

    def _cut_off(self) -> None:
        if self._client is not None:
            self._client.cut_off()

    def _hang(self, action: Action, began: _Moment) -> NoReturn:
        exchanges = self._exchanges_since(began)
        is_flood = len(exchanges) >= _MAX_REQUESTS
        ending: NeverReturned | SentTooManyRequests = SentTooManyRequests(requests=len(exchanges))
        if not is_flood:
            waited = min(self._deadline, round(real_seconds() - began.real, 1))
            ending = NeverReturned(seconds=waited, requests=len(exchanges))
        is_brief = not is_flood and self._deadline < self._wanted_deadline
        if not is_flood:
            self._run.hangs.add(self._clause_id, is_brief=is_brief)
        reason = f"{action_text(action)} {outcome_text(ending)}"
        if is_brief:
            brief = NotTested(f"{reason}; {self._run.hangs.before}")
            brief.is_costly = True
            raise brief
        self._record_action(action, began, ending)
        raise self._with_evidence(ClientHung(reason, exchanges, is_flood=is_flood))

    @contextlib.contextmanager
    def _driver_failures_recorded(self, action: Action, began: _Moment) -> Iterator[None]:
        """Record a death or failure of the driver, and attach the steps to the exception."""
        try:
            yield
        except (ClientCrashed, DriverFailed) as ended:
            self._record_action(action, began, DriverEnded(reason=ended.reason))
            self._with_evidence(ended)
            raise

    def _record_use(self, began: _Moment, outcome: Outcome) -> None:
        observed = outcome.operation == GET_TOKEN
        self._uses.append(
            Use(
                number=began.use,
                operation=outcome.operation,
                started_at=began.at,
                ended_at=self._run.time.now(),
                token=outcome.token if observed else None,
                token_state=outcome.token_state if observed else None,
                error=self.masked(outcome.error) if outcome.error else None,
            )
        )

    def _must_be_of_this_broker(self, outcome: Outcome) -> None:
        """Raise if the client presented a token of another broker: this case is then invalid."""
        if clauses.cache.ISOLATION in self._elsewhere:
            return
        presented = outcome.presented or ""
        if outcome.operation == REQUEST:
            presented = presented.rpartition(" ")[2]
        if outcome.token is not None or not self._run.brokers.issued_by_another(presented):
            return
        breach = Breach(
            clauses.cache.ISOLATION.id,
            "the client presented a token that another broker issued to another client",
            "a token of its own",
        )
        if self._clause_id == breach.clause_id:
            self._fail([breach])
        self._run.note(self._breached([breach]))
        raise NotTested(
            "the client presented another client's token", blocked_by=clauses.cache.ISOLATION
        )

    def _open(self) -> Answer:
        """Make the client; one that requests a token at once may raise here.

        Raises NotTested if the client has hung too often to be used again.
        """
        if self._run.hangs.too_many:
            raise NotTested(self._run.hangs.too_many)
        client = self._run.clients.driver(self.config, self._deadline, self._trusted)
        if self.exposure is not None:
            client.watch()
        answer = client.open()
        if answer.error is None and not answer.hung:
            self._client = client
        else:
            client.close()
        return answer

    def watch(self) -> Exposure:
        """Record what the client makes visible from its creation on."""
        self.exposure = Exposure()
        return self.exposure

    def look(self) -> None:
        """Fetch the texts visible so far. Raises ClientHung if the client's repr hangs."""
        if self._client is None or self.exposure is None:
            return
        began = self._begin()
        with self._driver_failures_recorded(ReprTaken(), began):
            texts = self._client.exposed()
        if texts is None:
            self._hang(ReprTaken(), began)
        self.exposure.texts.extend(texts)

    @property
    def config(self) -> ClientConfig:
        """The client's configuration."""
        settings = {
            "token_url": self.broker.token_url,
            "api_base_url": self.broker.api_url,
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
            "timeout": self._run.settings.client_timeout,
            "scope": self._scope,
        }
        return ClientConfig(**{**settings, **self._changes})

    def control(self) -> ClientSession:
        """Return a session with the same settings and without faults, as a control."""
        return ClientSession(
            self._run,
            self._clause,
            credentials=self.credentials,
            expires_in=self.broker.expires_in,
            scope=self._scope,
            elsewhere=self._elsewhere,
        )

    # -- judging -------------------------------------------------------------------------------

    def breach(self, what: str, expected: str, exchanges: Iterable[Exchange] = ()) -> NoReturn:
        """Raise ContractBreached for this session's clause."""
        self.breach_of(self._clause, what, expected, exchanges)

    def breach_of(
        self, clause: Clause, what: str, expected: str, exchanges: Iterable[Exchange] = ()
    ) -> NoReturn:
        """Raise ContractBreached for that clause."""
        numbers = tuple(exchange.number for exchange in exchanges)
        self._fail([Breach(clause.id, what, expected, exchanges=numbers)])

    def masked(self, error: Raised) -> str:
        """Return an error as printable text: its type, and its message masked."""
        return self.recorder.error(error)

    def __enter__(self) -> ClientSession:
        # The previous client may have removed its folders.
        if self._run.brokers.session_opened():
            self._run.sandbox.restore()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._client is not None:
                self._client.close()
            if self._owns_broker:
                self._run.brokers.retire(self.broker)
        finally:
            self._run.brokers.session_closed()
        if error is None or isinstance(error, (NotTested, ClientHung)):
            self._judge(own=not isinstance(error, ClientHung))

    def _judge(self, *, own: bool) -> None:
        found = []
        for breach in judge_trace(self.trace):
            if breach.clause_id == self._clause_id:
                found.append(breach)
            elif breach.clause_id not in self._judged_elsewhere:
                self._run.note(self._breached([breach]))
        if found and own:
            self._fail(found)

    def _fail(self, breaches: Sequence[Breach]) -> NoReturn:
        raise self._breached(breaches)

    def _breached(self, breaches: Sequence[Breach]) -> ContractBreached:
        breached = ContractBreached(
            tuple(self._without_secrets(breach) for breach in breaches),
            self.recorder.steps(),
            self.recorder.records(),
        )
        breached.is_delayed = self.is_delayed
        return breached

    def _without_secrets(self, breach: Breach) -> Breach:
        texts = (breach.what, breach.expected, breach.hint)
        what, expected, hint = self.recorder.masked(texts)
        return replace(breach, what=what, expected=expected, hint=hint)


@dataclass
class _RequestLimit:
    """Limit that stops a client after too many requests in one use."""

    broker: Broker
    limit: int
    cut_off: Callable[[], None]

    def __enter__(self) -> None:
        self._end = self.broker.journal.subscribe(self._count)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _count(self, _: Exchange) -> None:
        # A thread of the server calls this; cut_off() is safe from any thread.
        if self.broker.journal.total >= self.limit:
            self.cut_off()
