"""The stage on which a scenario plays: one broker, one client, time, and the trace of it all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from contract_tests.client import ClientConfig
from contract_tests.driver import Answer, PythonClient
from contract_tests.run import ContractRun
from contract_tests.verdicts import ClientHung, ContractBreached, NotTested
from mockbroker.broker import Broker
from mockbroker.spec.clause import Breach
from mockbroker.spec.credentials import AccessToken, Credentials, TokenState
from mockbroker.spec.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.spec.judges import judge_trace
from mockbroker.spec.masking import curl, describe, mask

__all__ = ["Outcome", "Stage"]

GET_TOKEN, REQUEST = "get_token", "request"
_LONGEST_WAIT = 3.0
VEHICLE = "/vehicle/1111111111111111?region=uk"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one use of the client led to.

    ``token`` is the token that ``get_token`` returned or that the last call of this use
    presented, if the broker knows it; ``presented`` is that token's text, or None. ``error`` is
    what the client raised. ``exchanges`` are those that came during this use.
    """

    operation: str
    exchanges: tuple[Exchange, ...]
    presented: str | None = None
    token: AccessToken | None = None
    token_state: TokenState | None = None
    status: int | None = None
    error: BaseException | None = None

    @property
    def token_requests(self) -> tuple[Exchange, ...]:
        """The requests to the token endpoint that came during this use."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.TOKEN)

    @property
    def api_calls(self) -> tuple[Exchange, ...]:
        """The calls of the API that came during this use."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.API)


class Stage:
    """One client before a broker of its own, on a prefix that nobody used before.

    The broker is lenient, so that one defect does not paint every clause red. When the context
    ends the trace is judged: a breach of ``clause_id`` raises ContractBreached, any other goes
    to its own clause.
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
        elsewhere: Iterable[str] = (),
    ) -> None:
        self._run = run
        self._clause_id = clause_id
        self._judged_elsewhere = frozenset(elsewhere)
        self._uses: list[Use] = []
        self._story: list[str] = []
        self._client: PythonClient | None = None
        self._scope = scope
        self.credentials = credentials
        self.broker = broker or run.new_broker(credentials, expires_in, scope)
        self._owns_broker = broker is None
        if run.settings.seed is not None:
            seed = run.settings.seed
            self.tell(f"exploring: the examples of seed {seed}; --seed {seed} draws them again")
        if self._owns_broker:
            self.tell(f"the broker issues tokens with expires_in={expires_in:g}")

    # -- the story -----------------------------------------------------------------------------

    def tell(self, line: str) -> None:
        """Add a line to the story."""
        self._story.append(line)

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""
        if seconds:
            self.tell(f"+{seconds:g} s")
            self._run.time.advance(seconds)

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

    # -- using the client ----------------------------------------------------------------------

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
            raise NotTested(f"blocked: {_tokenless(outcome)}")
        return outcome

    def _play(self, operation: str, words: str, act: Any) -> Outcome:
        number = len(self._uses) + 1
        self.broker.current_use = number
        seen, started_at = len(self.broker.journal), self._run.time.now()
        answer = self._open() if self._client is None else Answer()
        if self._client is not None:
            answer = act(self._client)
        exchanges = tuple(self.broker.journal)[seen:]
        if answer.hung:
            self.tell(f"{words} → nothing for {self._run.settings.deadline:g} s, cut off")
            raise ClientHung(
                f"{words} did not come back within {self._run.settings.deadline:g} s of real time "
                f"({len(exchanges)} requests seen meanwhile)\n{self.story}"
            )
        outcome = self._outcome(operation, answer, exchanges)
        self._note(number, words, outcome, started_at)
        return outcome

    def _outcome(self, operation: str, answer: Answer, exchanges: tuple[Exchange, ...]) -> Outcome:
        if answer.error is not None:
            return Outcome(operation, exchanges, error=answer.error)
        if operation == GET_TOKEN:
            value = answer.value
            if not isinstance(value, str):
                return Outcome(operation, exchanges)
            token, state = self.broker.find_token(value)
            return Outcome(operation, exchanges, value, token, state)
        status = _status_of(answer.value)
        calls = [e for e in exchanges if e.endpoint is Endpoint.API]
        if not calls:
            return Outcome(operation, exchanges, status=status)
        last = calls[-1]
        presented = last.request.headers.get("Authorization")
        return Outcome(operation, exchanges, presented, last.token, last.token_state, status)

    def _note(self, number: int, words: str, outcome: Outcome, started_at: float) -> None:
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
        self.tell(f"{words} → {self._in_words(outcome)}")

    def _in_words(self, outcome: Outcome) -> str:
        if outcome.error is not None:
            return f"raised {self.masked(outcome.error)}"
        if outcome.token is not None and outcome.token_state is not None:
            fetched = " (fetched)" if outcome.token_requests else ""
            state = outcome.token_state.value
            return f"{outcome.token.label}{fetched}, {state}"
        return _tokenless(outcome)

    def _open(self) -> Answer:
        """Make the client; one that fetches a token at once may well raise here."""
        client, answer = self._run.make_client(self.config)
        if answer.error is None and not answer.hung:
            self._client = client
        else:
            client.close()
        return answer

    @property
    def config(self) -> ClientConfig:
        """What the client is given."""
        return ClientConfig(
            token_url=self.broker.token_url,
            api_base_url=self.broker.api_url,
            client_id=self.credentials.client_id,
            client_secret=self.credentials.client_secret,
            timeout=self._run.settings.client_timeout,
            scope=self._scope,
        )

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

    def breach(self, what: str, expected: str, exchanges: Iterable[Exchange] = ()) -> None:
        """Raise ContractBreached for the scenario's own clause."""
        numbers = tuple(exchange.number for exchange in exchanges)
        self._fail([Breach(self._clause_id, what, expected, exchanges=numbers)])

    def masked(self, error: object) -> str:
        """An error as text that may be printed: its type, and its message with secrets masked."""
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - the client's own exceptions may be broken
            message = "(its text cannot be shown)"
        text = f"{type(error).__name__}: {message}" if message else type(error).__name__
        return mask(text, self.broker.registered, self.broker.token_issued_values)[:500]

    @property
    def story(self) -> str:
        """What happened so far, a line for each step."""
        return "\n".join(f"  {line}" for line in self._story)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
        if self._owns_broker:
            self._run.retire(self.broker)
        if error is None or isinstance(error, NotTested):
            self._judge()

    def _judge(self) -> None:
        own = []
        for breach in judge_trace(self.trace):
            if breach.clause_id == self._clause_id:
                own.append(breach)
            elif breach.clause_id not in self._judged_elsewhere:
                self._run.note(self._breached([breach]))
        if own:
            self._fail(own)

    def _fail(self, breaches: Sequence[Breach]) -> None:
        raise self._breached(breaches)

    def _breached(self, breaches: Sequence[Breach]) -> ContractBreached:
        exchanges = tuple(self.broker.journal)
        shown = set(itertools.chain.from_iterable(b.exchanges for b in breaches))
        telling = [e for e in exchanges if e.number in shown and e.endpoint is Endpoint.TOKEN]
        return ContractBreached(
            tuple(breaches),
            story=self.story,
            exchanges=tuple(describe(exchange) for exchange in exchanges[-12:]),
            curl=curl(telling[0].request) if telling else "",
        )


def _status_of(response: object) -> int | None:
    for candidate in (response, *(getattr(response, n, None) for n in ("status_code", "status"))):
        if isinstance(candidate, int) and not isinstance(candidate, bool):
            return candidate
    return None


def _tokenless(outcome: Outcome) -> str:
    if outcome.presented == "":
        return "returned an empty text"
    if outcome.presented is not None:
        verb = "returned" if outcome.operation == GET_TOKEN else "presented"
        return f"{verb} something that is no token of this broker"
    if outcome.operation == GET_TOKEN:
        return "returned no token"
    if not outcome.api_calls:
        return "made no call to the API"
    return "called the API without a token"
