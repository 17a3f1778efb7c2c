"""The stage on which a scenario plays: one broker, one client, time, and the trace of it all."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from mockbroker.broker.clock import real_seconds
from mockbroker.contract.judges import judge_trace
from mockbroker.fake_broker import Broker
from mockbroker.model.breach import Breach
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.model.masking import curl, describe, mask
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST, Answer, Driver, Raised
from mockbroker_contract.drivers.exposure import Exposure
from mockbroker_contract.drivers.failures import ClientCrashed, DriverFailed, NotTested
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from mockbroker_contract.harness.outcome import Outcome, outcome_of
from mockbroker_contract.harness.run import ContractRun

__all__ = ["Stage"]

_LONGEST_WAIT = 3.0
"""Seconds of real time that pass in one step, at the most."""
_MOST_REQUESTS = 50
_BACKGROUND_SECONDS = 0.03
_LONGEST_TEXT = 500
_TELLING_SECRET = 8
_SHORTEST_PAUSE = 0.1
VEHICLE = "/vehicle/1111111111111111?region=uk"
_FOLD = r"(?:\s|\\n)+"
_BASE64 = r"[A-Za-z0-9+/=_-]"
_FOLDED_BASE64 = re.compile(rf"(?<!{_BASE64})(?:{_BASE64}{{60,}}{_FOLD})+{_BASE64}+")
"""Credentials, it may be, in a form in which nobody would find them again."""


class Stage:
    """One client before a broker of its own, on a prefix that nobody used before.

    The broker is lenient, so that one defect does not paint every clause red. When the context
    ends the trace is judged: a breach of ``clause_id`` raises ContractBreached, any other goes
    to its own clause; ``elsewhere`` names those that are judged otherwise.

    The broker is a new one, a ``broker`` that others use as well, or one like a ``neighbour`` at
    the same path of another origin. ``config`` changes what the client is told; ``deadline`` is
    how many seconds of real time one use may take, the run's unless given. The client's
    environment says to trust the CA file ``trusted``, if there is one. Clients that share a
    ``story`` have a ``name`` in it.
    """

    def __init__(
        self,
        run: ContractRun,
        clause_id: str,
        *,
        credentials: Credentials,
        expires_in: float = 3599,
        scope: str = "",
        broker: Broker | None = None,
        neighbour: Broker | None = None,
        elsewhere: Iterable[str] = (),
        config: dict[str, Any] | None = None,
        deadline: float | None = None,
        story: list[str] | None = None,
        name: str = "",
        trusted: str | None = None,
    ) -> None:
        self._run = run
        self._clause_id = clause_id
        self._judged_elsewhere = frozenset(elsewhere)
        self._uses: list[Use] = []
        self._story = [] if story is None else story
        self._name = f"{name}: " if name else ""
        self._client: Driver | None = None
        self._trusted = trusted
        self._began = 0.0
        self.exposure: Exposure | None = None
        """What the client lets others see, if it is watched."""
        self._scope = scope
        self._changes = config or {}
        self._wanted_deadline = run.settings.deadline if deadline is None else deadline
        self._deadline = run.hangs.deadline(self._wanted_deadline)
        self.credentials = credentials
        if neighbour is not None:
            self.broker = run.neighbour(neighbour)
        else:
            self.broker = broker or run.new_broker(credentials, expires_in, scope)
        self._owns_broker = broker is None
        self._port = urlsplit(self.broker.token_url).port
        self._tell_how_it_began(run.settings.seed, expires_in)

    def _tell_how_it_began(self, seed: int | None, expires_in: float) -> None:
        if seed is not None and not self._story:
            self.tell(f"exploring with seed {seed}; the same seed draws the same examples")
        if self._owns_broker:
            self.tell(f"the broker issues tokens with expires_in={expires_in:g}")

    # -- the story -----------------------------------------------------------------------------

    def tell(self, line: str) -> None:
        """Add a line to the story."""
        self._story.append(line)

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass. Raises NotTested if that took too long in real time."""
        if not self.can_pass(seconds):
            raise NotTested(
                f"the client's clock could not be moved, and {seconds:g} s are too long to wait"
            )
        if seconds:
            self.tell(f"+{seconds:g} s")
            self._run.time.advance(seconds)

    def now(self) -> float:
        """The time of the story, in Unix seconds."""
        return self._run.time.now()

    def can_pass(self, seconds: float) -> bool:
        """Whether that many seconds can pass without anybody waiting for long."""
        return self._run.time.is_virtual or seconds <= _LONGEST_WAIT

    def issue_with(self, expires_in: float) -> None:
        """Have tokens issued with that lifetime, in seconds, from now on."""
        if expires_in != self.broker.expires_in:
            self.broker.expires_in = expires_in
            self.tell(f"the broker now issues tokens with expires_in={expires_in:g}")

    @property
    def trace(self) -> Trace:
        """Everything seen so far."""
        return Trace(tuple(self.broker.journal), tuple(self._uses))

    @property
    def has_broken_request(self) -> bool:
        """Whether a request so far breaks the clause of this stage by itself."""
        broken = (b.clause_id for e in self.trace.exchanges for b in e.breaches)
        return self._clause_id in broken

    # -- using the client ----------------------------------------------------------------------

    def make(self) -> None:
        """Make the client, if it is not made yet, as a use of its own.

        One that asks for a token as soon as it is made has had an attempt by then, and makes
        another one when it is used: nobody is to count them together.
        """
        if self._client is not None:
            return
        _, seen, _ = self._begin()
        words = "the client is made"
        with self._bounded_requests(seen), self._told_by_driver(words), self._asked() as asked:
            answer = self._open()
            if self._goes_on:  # what a thread of the client asks for is no part of its first use
                asked.wait(_BACKGROUND_SECONDS)
        exchanges = tuple(self.broker.journal.since(seen))
        if answer.hung:
            self._hang(words, exchanges)
        if answer.error is not None and answer.error.is_exit:
            self._crash(words, answer.error)
        error = f" → raised {self.masked(answer.error)}" if answer.error is not None else ""
        if error or exchanges:
            self.tell(f"{self._name}{words}{error}")

    def use(self, operation: str = "", path: str = VEHICLE) -> Outcome:
        """Use the client once: ``get_token``, or a signed GET; by default whatever it offers."""
        if (operation or self._run.capabilities[0]) == GET_TOKEN:
            return self._play(GET_TOKEN, "get_token", lambda client: client.get_token())
        return self.call("GET", self.broker.api_url + path)

    def call(self, method: str, url: str, **kwargs: Any) -> Outcome:
        """Have the client make a signed call of that absolute URL."""
        target = "/" + url.split("/", 3)[-1] if "://" in url else url
        return self._play(
            REQUEST, f"{method} {target}", lambda client: client.request(method, url, **kwargs)
        )

    def use_well(self, operation: str = "") -> Outcome:
        """Use the client where nothing stands in its way.

        Raises NotTested if it does not obtain a valid token all the same.
        """
        outcome = self.use(operation)
        if outcome.error is not None:
            raise NotTested(f"blocked: the client raised {self.masked(outcome.error)}")
        if outcome.token is None:
            raise NotTested(f"blocked: {outcome.in_words}")
        return outcome

    def use_replaces(self, token: AccessToken | None, operation: str = "") -> bool:
        """Use the client; whether it has another token now, or fetches one in the background."""
        with self._asked() as asked:
            if self.use(operation).token != token or asked.is_set():
                return True
            return self._goes_on and asked.wait(_BACKGROUND_SECONDS)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[threading.Event]:
        """An event that is set once a token is asked for while the context lasts."""
        asked = threading.Event()
        end = self.broker.journal.subscribe(
            lambda exchange: asked.set() if exchange.endpoint is Endpoint.TOKEN else None
        )
        try:
            yield asked
        finally:
            end()

    @property
    def _goes_on(self) -> bool:
        return self._client is not None and self._client.leaves_something_running

    def use_at_once(self, operation: str, count: int) -> list[Outcome]:
        """Use the client that many times at one moment, by threads or tasks."""
        words = f"{count} times at once {operation}"
        number, seen, started_at = self._begin()
        began = real_seconds()
        with self._told_by_driver(words):
            answer = self._open() if self._client is None else Answer()
            answers = [answer] * count if self._client is None else self._at_once(operation, count)
        exchanges = tuple(self.broker.journal.since(seen))
        self._notice_delay(answers, began)
        if any(one.hung for one in answers):
            self._hang(words, exchanges)
        outcomes = [outcome_of(operation, one, exchanges, self.broker) for one in answers]
        good = sum(outcome.is_good for outcome in outcomes)
        self._record(number, outcomes[0], started_at)
        self.tell(f"{words} → {good} with a valid token, {count - good} without")
        for outcome in outcomes:
            self._must_be_of_this_broker(outcome)
        return outcomes

    def _at_once(self, operation: str, count: int) -> list[Answer]:
        assert self._client is not None
        if operation == GET_TOKEN:
            return self._client.get_tokens_at_once(count)
        return self._client.requests_at_once("GET", self.broker.api_url + VEHICLE, count)

    def _begin(self) -> tuple[int, int, float]:
        number = next(self._run.use_numbers)
        self.broker.current_use = number
        self._began = real_seconds()
        return number, self.broker.journal.total, self._run.time.now()

    def _play(self, operation: str, words: str, act: Callable[[Driver], Answer]) -> Outcome:
        number, seen, started_at = self._begin()
        began = real_seconds()
        with self._bounded_requests(seen), self._told_by_driver(words):
            answer = self._open() if self._client is None else Answer()
            if self._client is not None:
                answer = act(self._client)
        exchanges = tuple(self.broker.journal.since(seen))
        self._notice_delay([answer], began)
        if answer.hung:
            self._hang(words, exchanges)
        if answer.error is not None and answer.error.is_exit:
            self._crash(words, answer.error)
        outcome = outcome_of(operation, answer, exchanges, self.broker)
        slept = self._run.time.now() - started_at
        self._record(number, outcome, started_at)
        error = f"raised {self.masked(outcome.error)}" if outcome.error is not None else ""
        told = self._run.time.is_virtual and slept > _SHORTEST_PAUSE
        pause = f" (after {slept:.4g} s)" if told else ""
        self.tell(f"{self._name}{words} → {error or outcome.in_words}{pause}")
        self._must_be_of_this_broker(outcome)
        return outcome

    def _notice_delay(self, answers: Iterable[Answer], began: float) -> None:
        is_late = real_seconds() - began >= self.config.timeout
        if is_late and any(answer.error is not None for answer in answers):
            self._run.held_up = True

    def _bounded_requests(self, seen: int) -> _RequestLimit:
        return _RequestLimit(self.broker, seen + _MOST_REQUESTS, self._cut_off)

    def _cut_off(self) -> None:
        if self._client is not None:
            self._client.cut_off()

    def _hang(self, words: str, exchanges: Sequence[Exchange]) -> NoReturn:
        is_flood = len(exchanges) >= _MOST_REQUESTS
        if is_flood:
            why = f"led to {len(exchanges)} requests and was cut off"
        else:
            waited = min(self._deadline, round(real_seconds() - self._began, 1))
            why = (
                f"did not come back within {waited:g} s of real time "
                f"(requests seen meanwhile: {len(exchanges)})"
            )
        is_brief = not is_flood and self._deadline < self._wanted_deadline
        if not is_flood:
            self._run.hangs.add(self._clause_id, is_brief=is_brief)
        if is_brief:
            brief = NotTested(f"blocked: {words} {why}; {self._run.hangs.before}")
            brief.is_costly = True
            raise brief
        self.tell(f"{words} → nothing: it {why}")
        told = self._hidden(f"{words} {why}\n{self.story}")
        raise ClientHung(told, tuple(exchanges), is_flood=is_flood)

    @contextlib.contextmanager
    def _told_by_driver(self, words: str) -> Iterator[None]:
        """Let what the driver says of itself, if it fails, be told with the story."""
        try:
            yield
        except (ClientCrashed, DriverFailed) as ended:
            reason, _, details = str(ended).partition("\n")
            self.tell(f"{words} → nothing: {reason}")
            ended.args = (self._hidden(f"{reason}\n{self.story}\n{details}".strip()),)
            raise

    def _crash(self, words: str, error: Raised) -> NoReturn:
        what = f"{words} ended the program: {self.masked(error)}"
        self.tell(what)
        raise ClientCrashed(self._hidden(f"{what}\n{self.story}"))

    def _record(self, number: int, outcome: Outcome, started_at: float) -> None:
        observed = outcome.operation == GET_TOKEN
        self._uses.append(
            Use(
                number=number,
                operation=outcome.operation,
                started_at=started_at,
                ended_at=self._run.time.now(),
                token=outcome.token if observed else None,
                token_state=outcome.token_state if observed else None,
                error=self.masked(outcome.error) if outcome.error else None,
            )
        )

    def _must_be_of_this_broker(self, outcome: Outcome) -> None:
        """A token of another story would make nonsense of this one."""
        if "cache.isolation" in self._judged_elsewhere:
            return
        presented = outcome.presented or ""
        if outcome.operation == REQUEST:
            presented = presented.rpartition(" ")[2]
        if outcome.token is not None or not self._run.is_of_another_broker(presented):
            return
        breach = Breach(
            "cache.isolation",
            "the client presented a token that another broker issued to another client",
            "a token of its own",
        )
        if self._clause_id == breach.clause_id:
            self._fail([breach])
        self._run.note(self._breached([breach]))
        raise NotTested("blocked by cache.isolation: the client presented another client's token")

    def _open(self) -> Answer:
        """Make the client; one that fetches a token at once may well raise here.

        Raises NotTested if the client has hung too often to be used any more.
        """
        if self._run.hangs.too_many:
            raise NotTested(f"blocked: {self._run.hangs.too_many}")
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
        """Keep what the client lets others see, from when it is made."""
        self.exposure = Exposure()
        return self.exposure

    def look(self) -> None:
        """Take over what was seen so far. Raises ClientHung if the client's repr hangs."""
        if self._client is None or self.exposure is None:
            return
        with self._told_by_driver("the repr of the client"):
            texts = self._client.exposed()
        if texts is None:
            self._hang("the repr of the client", ())
        self.exposure.texts.extend(texts)

    @property
    def config(self) -> ClientConfig:
        """What the client is given."""
        told = {
            "token_url": self.broker.token_url,
            "api_base_url": self.broker.api_url,
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
            "timeout": self._run.settings.client_timeout,
            "scope": self._scope,
        }
        return ClientConfig(**{**told, **self._changes})

    def twin(self) -> Stage:
        """A stage like this one before anything was changed, for the benign twin of a story."""
        return Stage(
            self._run,
            self._clause_id,
            credentials=self.credentials,
            expires_in=self.broker.expires_in,
            scope=self._scope,
            elsewhere=self._judged_elsewhere,
        )

    # -- judging -------------------------------------------------------------------------------

    def breach(self, what: str, expected: str, exchanges: Iterable[Exchange] = ()) -> NoReturn:
        """Raise ContractBreached for the scenario's own clause."""
        self.breach_of(self._clause_id, what, expected, exchanges)

    def breach_of(
        self, clause_id: str, what: str, expected: str, exchanges: Iterable[Exchange] = ()
    ) -> NoReturn:
        """Raise ContractBreached for that clause."""
        numbers = tuple(exchange.number for exchange in exchanges)
        self._fail([Breach(clause_id, what, expected, exchanges=numbers)])

    def masked(self, error: Raised) -> str:
        """An error as text that may be printed: its type, and its message with secrets masked."""
        message = " ".join(error.message.split())  # a step of the story is a line
        text = f"{error.name}: {message}" if message else error.name
        text = _FOLDED_BASE64.sub("<masked>", text)
        text = re.sub(rf"\b{self._port}\b", "PORT", text)  # the same words each time
        return mask(text, self.broker.registered, self.broker.token_issued_values)[:_LONGEST_TEXT]

    @property
    def story(self) -> str:
        """What happened so far, a line for each step."""
        return "\n".join(f"  {line}" for line in self._story)

    def __enter__(self) -> Stage:
        self._run.enter_stage()
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
                self._run.retire(self.broker)
        finally:
            self._run.leave_stage()
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
        self._run.broken_clauses.update(breach.clause_id for breach in breaches)
        exchanges = tuple(self.broker.journal)
        shown = set(itertools.chain.from_iterable(b.exchanges for b in breaches))
        telling = [e for e in exchanges if e.number in shown and e.endpoint is Endpoint.TOKEN]
        return ContractBreached(
            tuple(self._without_secrets(breach) for breach in breaches),
            story=self._hidden(self.story),
            exchanges=tuple(self._hidden(describe(exchange)) for exchange in exchanges[-12:]),
            curl=curl(telling[0].request, self._hidden) if telling else "",
        )

    def _without_secrets(self, breach: Breach) -> Breach:
        what, expected, hint = map(self._hidden, (breach.what, breach.expected, breach.hint))
        return replace(breach, what=what, expected=expected, hint=hint)

    def _hidden(self, text: str) -> str:
        known = tuple(c for c in self.broker.registered if len(c.client_secret) >= _TELLING_SECRET)
        tokens = [t for t in self.broker.token_issued_values if len(t) >= _TELLING_SECRET]
        return mask(text, known, tokens)


@dataclass
class _RequestLimit:
    """Cuts a client off that makes more requests in one use than any sound one."""

    broker: Broker
    limit: int
    cut_off: Callable[[], None]

    def __enter__(self) -> None:
        self._end = self.broker.journal.subscribe(self._count)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _count(self, _: Exchange) -> None:
        if self.broker.journal.total >= self.limit:
            self.cut_off()
