"""Actions of one client: each bounded in time and in requests, and recorded as a step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

from msgspec import structs

from mockbroker.broker.clock import real_seconds
from mockbroker.fake_broker import Broker
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import AccessToken
from mockbroker.model.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.report.steps import (
    Action,
    Awaited,
    ClientMade,
    ClientUsed,
    ClientUsedAtOnce,
    DriverEnded,
    NeverReturned,
    ProgramEnded,
    ReprTaken,
    SentTooManyRequests,
    UseOutcome,
)
from mockbroker.report.wording import action_text, outcome_text
from mockbroker_contract.drivers.driver import GET_TOKEN, Answer, Driver
from mockbroker_contract.drivers.exposure import Exposure
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotTested,
    ScenarioEnded,
)
from mockbroker_contract.drivers.observed_wait import ObservedWait
from mockbroker_contract.harness.endings import MAX_REQUESTS, ClientHung, TooManyRequests
from mockbroker_contract.harness.hangs import Deadline
from mockbroker_contract.harness.outcome import Outcome, outcome_of
from mockbroker_contract.harness.recorder import Recorder
from mockbroker_contract.harness.run import ContractRun

__all__ = ["ClientActions"]

Ended = TypeVar("Ended", bound=ScenarioEnded)
Answered = TypeVar("Answered")

# Short, because a use without a token request waits for all of it.
_BACKGROUND_SECONDS = 0.03
"""Real time that a background thread gets to send a token request, in seconds."""
_SHORTEST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class _Moment:
    """Start of an action: exchanges so far, the run's time, and the real time."""

    use: int
    seen: int
    at: float
    real: float


class ClientActions:
    """Creation and uses of one client that speaks to one broker.

    The client is made at its first use. An action that does not return within ``deadline`` raises
    ClientHung, one that sends too many requests TooManyRequests. One that ends the program raises
    ClientCrashed. The client's environment names the CA file of its configuration, if there is one.
    ``clause_id`` is the clause that is being judged.
    """

    def __init__(
        self,
        run: ContractRun,
        broker: Broker,
        recorder: Recorder,
        config: ClientConfig,
        *,
        clause_id: str,
        deadline: Deadline,
    ) -> None:
        self._run = run
        self._broker = broker
        self._recorder = recorder
        self.config = config
        self._clause_id = clause_id
        self._deadline = deadline
        self._client: Driver | None = None
        self._uses: list[Use] = []
        self.exposure: Exposure | None = None
        """Texts that the client makes visible, if it is watched."""
        self.looks_at_waits = False
        """Whether an action ends once it is certain that the client waits beyond its deadline."""
        self.is_delayed = False
        """Whether a use failed after the client's timeout: a busy machine may be the cause."""

    @property
    def trace(self) -> Trace:
        """The exchanges and uses so far."""
        return Trace(tuple(self._broker.journal), tuple(self._uses))

    def close(self) -> None:
        """End the client, if it was made; the next action makes another one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- what the client does ------------------------------------------------------------------

    def make(self, made: ClientMade) -> None:
        """Make the client, if it is not made yet, and record that as a use.

        A client that requests a token at its creation has had one attempt then. It makes another
        one at its first use. The two must not be counted together.
        """
        if self._client is not None:
            return
        began = self._begin()
        with self._limits(made, began), self._token_requested() as requested:
            answer = self._open()
            # A background thread's request must not count for the first use.
            if self._has_background_work:
                requested.wait(_BACKGROUND_SECONDS)
        self._must_have_returned(made, answer, began)
        error = answer.error
        self._note_traceback([answer])
        if error is not None:
            self._record(made, began, self._recorder.raised(error))
        # A creation without requests is not recorded: a report has only steps that matter.
        elif self._broker.journal.total > began.seen:
            self._record(made, began)

    def perform(self, action: ClientUsed, act: Callable[[Driver], Answer]) -> Outcome:
        """Have the client do something once; the action is recorded with its outcome."""
        began = self._begin()
        with self._limits(action, began):
            answer = self._open() if self._client is None else Answer()
            if self._client is not None:
                answer = act(self._client)
        exchanges = self._exchanges_since(began)
        is_delayed = self._note_delay([answer], began)
        self._note_traceback([answer])
        self._must_have_returned(action, answer, began)
        outcome = outcome_of(action.operation, answer, exchanges, self._broker)
        outcome = replace(outcome, is_delayed=is_delayed)
        # The client's sleep moves the virtual clock, so its pauses between attempts show here.
        waited = self._run.time.now() - began.at
        self._note_use(began, outcome)
        error = outcome.error
        done = structs.replace(
            action,
            status=outcome.status,
            waited_seconds=round(waited, 3) if self._shows_pause(waited) else 0.0,
        )
        ending = outcome.result if error is None else self._recorder.raised(error)
        self._record(done, began, ending)
        return outcome

    def perform_at_once(
        self, action: ClientUsedAtOnce, act: Callable[[Driver], list[Answer]]
    ) -> list[Outcome]:
        """Have the client do something several times concurrently, in threads or tasks."""
        began = self._begin()
        # No limit on requests: many uses at once may rightly send more than one use may.
        with self._driver_failures_recorded(action, began):
            answer = self._open() if self._client is None else Answer()
            answers = [answer] * action.count if self._client is None else act(self._client)
        exchanges = self._exchanges_since(began)
        self._note_delay(answers, began)
        self._note_traceback(answers)
        if any(one.hung for one in answers):
            self._hang(action, began)
        outcomes = [outcome_of(action.operation, one, exchanges, self._broker) for one in answers]
        good = sum(outcome.is_good for outcome in outcomes)
        # The burst counts as one use: its exchanges cannot be attributed to single calls.
        self._note_use(began, outcomes[0])
        self._record(structs.replace(action, good=good), began)
        return outcomes

    def ask(self, question: Callable[[Driver], Answered]) -> Answered:
        """Return what the driver says of the client, which must have been made."""
        assert self._client is not None, "the client is used first"
        return question(self._client)

    def replaces(self, token: AccessToken | None, use: Callable[[], Outcome]) -> bool:
        """Return whether that use replaced the token, also in the background.

        Raises NotTested if the client neither has a token nor requests one.
        """
        with self._token_requested() as requested:
            outcome = use()
            # First, because an attempt to replace the token counts, even if it fails.
            if requested.is_set():
                return True
            self.needs_token(outcome)
            # A thread in the background may have fetched the new token before this context began.
            if outcome.token != token:
                return True
            # Most clients run nothing in the background; for them the wait would be lost at each
            # use.
            return self._has_background_work and requested.wait(_BACKGROUND_SECONDS)

    def needs_token(self, outcome: Outcome) -> None:
        """Raise NotTested if the client had no token in a use without a fault."""
        if outcome.error is not None:
            raise NotTested(f"the client raised {self._recorder.error(outcome.error)}")
        if outcome.token is None:
            raise NotTested(f"the client {outcome.in_words}")

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

    def _open(self) -> Answer:
        """Make the client; one that requests a token at once may raise here.

        Raises NotTested if the client has hung too often to be used again.
        """
        if self._run.hangs.too_many:
            raise NotTested(self._run.hangs.too_many)
        client = self._run.clients.driver(self.config, self._deadline.seconds)
        if self.exposure is not None:
            # Before open(), because a constructor may show the secret as well.
            client.watch()
        if self.looks_at_waits:
            client.look_at_waits()
        answer = client.open()
        if answer.error is None and not answer.hung:
            self._client = client
        else:
            client.close()
        return answer

    # -- what is noted of it -------------------------------------------------------------------

    def _begin(self) -> _Moment:
        number = next(self._run.use_numbers)
        self._broker.current_use = number
        return _Moment(number, self._broker.journal.total, self._run.time.now(), real_seconds())

    def _exchanges_since(self, began: _Moment) -> tuple[Exchange, ...]:
        return tuple(self._broker.journal.since(began.seen))

    def _record(self, action: Action, began: _Moment, outcome: UseOutcome | None = None) -> None:
        """Record an action with its outcome."""
        since = began.at if self._run.time.is_virtual else None
        self._recorder.add(
            structs.replace(
                action,
                outcome=outcome,
                exchanges=tuple(exchange.number for exchange in self._exchanges_since(began)),
                issued=self._recorder.issued(since),
            )
        )

    def _note_use(self, began: _Moment, outcome: Outcome) -> None:
        # The exchanges show which token a call presented. Only the result of get_token is not in
        # them.
        observed = outcome.operation == GET_TOKEN
        self._uses.append(
            Use(
                number=began.use,
                operation=outcome.operation,
                started_at=began.at,
                ended_at=self._run.time.now(),
                token=outcome.token if observed else None,
                token_state=outcome.token_state if observed else None,
                error=self._recorder.error(outcome.error) if outcome.error else None,
            )
        )

    def _note_traceback(self, answers: Iterable[Answer]) -> None:
        errors = (answer.error for answer in answers if answer.error is not None)
        if self._run.settings.shows_tracebacks:
            self._recorder.note_traceback(next(errors, None))

    def _note_delay(self, answers: Iterable[Answer], began: _Moment) -> bool:
        """Return whether a use failed after the client's timeout, perhaps by a busy machine."""
        is_past_timeout = real_seconds() - began.real >= self.config.timeout
        is_delayed = is_past_timeout and any(answer.error is not None for answer in answers)
        # Kept for the session, because a later breach may follow from the delay.
        self.is_delayed |= is_delayed
        return is_delayed

    def _shows_pause(self, seconds: float) -> bool:
        """Return whether a pause is the client's doing, and not that of a busy machine."""
        return self._run.time.is_virtual and seconds > _SHORTEST_PAUSE

    # -- what runs in the background -----------------------------------------------------------

    @contextlib.contextmanager
    def _token_requested(self) -> Iterator[threading.Event]:
        """Provide an event that is set at the first token request in the context."""
        # An event, because it is set by a thread of the server.
        requested = threading.Event()
        end = self._broker.journal.subscribe(
            lambda exchange: requested.set() if exchange.endpoint is Endpoint.TOKEN else None
        )
        try:
            yield requested
        finally:
            end()

    @property
    def _has_background_work(self) -> bool:
        return self._client is not None and self._client.leaves_something_running

    # -- limits --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _limits(self, action: Action, began: _Moment) -> Iterator[None]:
        # A client that is still being made cannot be cut off: there the deadline is the only limit.
        requests = _RequestLimit(self._broker, began.seen + MAX_REQUESTS, self._cut_off)
        with requests, self._driver_failures_recorded(action, began):
            yield

    def _cut_off(self) -> None:
        if self._client is not None:
            self._client.cut_off()

    def _must_have_returned(self, action: Action, answer: Answer, began: _Moment) -> None:
        if answer.hung:
            self._hang(action, began, answer.wait)
        # An exit would have ended the user's program, so it is a crash and not an error.
        if answer.error is not None and answer.error.is_exit:
            ending = ProgramEnded(error=self._recorder.error(answer.error))
            self._record(action, began, ending)
            raise self._with_evidence(
                ClientCrashed(f"{action_text(action)} {outcome_text(ending)}")
            )

    def _hang(self, action: Action, began: _Moment, wait: ObservedWait | None = None) -> NoReturn:
        exchanges = self._exchanges_since(began)
        # First: a client that was cut off has not exceeded its deadline.
        if len(exchanges) > MAX_REQUESTS:
            # Not the number seen: how many more came while the client was stopped is chance.
            flood = SentTooManyRequests(allowed=MAX_REQUESTS)
            self._record(action, began, flood)
            reason = f"{action_text(action)} {outcome_text(flood)}"
            raise self._with_evidence(TooManyRequests(reason, exchanges))
        # Less than the deadline if the client only used the processor. Never more, so that the
        # reports of two runs agree.
        waited = min(self._deadline.seconds, round(real_seconds() - began.real, 1))
        never = NeverReturned(seconds=waited, requests=len(exchanges))
        if wait is not None:
            never = NeverReturned(
                seconds=wait.seen_after_seconds,
                requests=len(exchanges),
                waits_for=Awaited(wait.for_what),
                limit_seconds=wait.limit_seconds,
            )
        self._run.hangs.add(self._clause_id, is_brief=self._deadline.is_brief)
        if self._deadline.is_brief:
            # With a short deadline a slow machine may be the cause, so the clause gets no verdict.
            reason = f"{action_text(action)} {outcome_text(never)}"
            brief = NotTested(f"{reason}; {self._run.hangs.before}")
            brief.is_costly = True
            raise brief
        self._record(action, began, never)
        hung = ClientHung(f"{action_text(action)} {outcome_text(never)}")
        hung.outcome = never
        raise self._with_evidence(hung)

    @contextlib.contextmanager
    def _driver_failures_recorded(self, action: Action, began: _Moment) -> Iterator[None]:
        """Record a death or failure of the driver, and attach the steps to the exception."""
        try:
            yield
        except (ClientCrashed, DriverFailed) as ended:
            self._record(action, began, DriverEnded(reason=ended.reason))
            self._with_evidence(ended)
            raise

    def _with_evidence(self, ended: Ended) -> Ended:
        # Masked here, because only the recorder knows every secret of the case.
        ended.reason, ended.details = self._recorder.masked((ended.reason, ended.details))
        ended.steps, ended.records = self._recorder.steps(), self._recorder.records()
        # A client that died has its output there.
        ended.details = ended.details or self._recorder.traceback
        return ended

    def not_tested(self, reason: str) -> NoReturn:
        """Raise NotTested with the steps and exchanges so far."""
        raise self._with_evidence(NotTested(reason))


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
        if self.broker.journal.total > self.limit:
            self.cut_off()
