"""Hypothesis state machine for a few clients of one broker, with a model.

The model is small: the broker's outage, the current secret of each client, and the valid tokens
(which the broker knows). It predicts the result of each use of a client. Any other result is a
breach of the clause that requires the predicted one.

Hypothesis chooses the steps. A breach is reproduced by running its recorded steps again, without
Hypothesis. So the steps of a known failure can be stored in a file of the user.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_type_hints

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Clause
from mockbroker.contract.clauses.refresh import late_use
from mockbroker.contract.judging import PASSIVE_CLAUSES, judge_trace
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.report.plain_examples import ExampleError, from_plain
from mockbroker.report.steps import BrokerStarted, FaultsCleared, SecretRotated, TokensRevoked
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import ScenarioEnded
from mockbroker_contract.harness.budget import OutOfTime
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung, ContractBreached, TooManyRequests
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import Recorder, fault_step
from mockbroker_contract.harness.run import ContractRun
from mockbroker_contract.harness.shrinking import ShrinkLimit
from mockbroker_contract.harness.strategies import lifetimes, time_steps

__all__ = [
    "ClientStateMachine",
    "Steps",
    "is_step_list",
    "play_stories",
    "replay_steps",
    "state_machine_for",
    "steps_from",
    "without_idle_steps",
]

# More than one use can lead to.
_UNLIMITED = 1000
# Seconds. Sound clients refresh up to this long before expiry, so shorter lifetimes are a case of
# their own.
_LONGEST_LEEWAY = 600
# One that is answered and one that is not: clients handle the two in different code.
_OUTAGES = {"answers 503": Fault.status(503), "resets connections": Fault.reset()}
# A token fetched after the revocation then expires at another moment than the first.
_SECONDS_BEFORE_REVOCATION = 5
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
_OUTLASTED = clauses.refresh.OUTAGE_AFTER_EXPIRY
# Enough for two credentials and a rotated secret; more would make examples longer.
_MAX_CLIENTS = 3
_NUMBERS = st.integers(0, _MAX_CLIENTS - 1)
# Numbers in place of operations, because rules are declared before a client's operations are known.
_WAYS = st.integers(0, 1)
# Nothing, or a use by either operation. A change that is followed by its use at once makes examples
# shorter, and defects likelier to be found.
_THEN = st.integers(0, 2)


Steps = tuple[tuple[Any, ...], ...]
"""Steps of the state machine, each a rule's name and its values."""

_Rule = Callable[..., None]
_STEPS: dict[str, dict[str, type]] = {}
"""The rules, and the names and types of their values."""


def _recorded(happens: _Rule) -> _Rule:
    """Record each call of a rule by name and values, so that it can be replayed."""
    kinds = {name: kind for name, kind in get_type_hints(happens).items() if name != "return"}
    _STEPS[happens.__name__] = kinds

    @functools.wraps(happens)
    def happens_and_is_recorded(self: ClientStateMachine, **values: Any) -> None:
        self.steps.append((happens.__name__, *(values[name] for name in kinds)))
        happens(self, **values)

    return happens_and_is_recorded


@dataclass
class _Client:
    """Client of the state machine, and the model's knowledge of it."""

    name: str
    session: ClientSession
    secret_is_current: bool = True
    was_refused: bool = False
    has_failed: bool = False
    """Whether a token request has failed since the client got its token."""
    token: AccessToken | None = None


class ClientStateMachine(RuleBasedStateMachine):
    """State machine of calls, time, revocation, outages, lifetimes and secrets.

    `state_machine_for` makes the class for one run. Breaches of clauses in ``ignored`` are skipped,
    so that breaches of other clauses are found after them.
    """

    run: ContractRun
    limit: ShrinkLimit
    ignored: Collection[str] = ()

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, ...]] = []
        """The steps so far."""
        self._outage = ""
        self._slow = 0
        self._slow_tokens: dict[AccessToken, int] = {}
        self._clients: list[_Client] = []
        # Sessions must be closed in the reverse order, and also when a rule has raised.
        self._exits = contextlib.ExitStack()

    # -- what happens --------------------------------------------------------------------------

    @initialize(lifetime=lifetimes())
    @_recorded
    def begin(self, lifetime: int) -> None:
        """Start the broker and add the first client."""
        self.limit.count_attempt()
        first = Credentials("life-client-a", "life-s3cret-a")
        # In real time no token can expire here, so its lifetime is one that never does.
        lifetime = lifetime if self.run.time.is_virtual else 3600
        self._broker = self.run.brokers.new(first, lifetime)
        self._exits.callback(self.run.brokers.retire, self._broker)
        self._recorder = Recorder(self._broker)
        self._recorder.add(BrokerStarted(expires_in=lifetime))
        self._enter(first)

    def _enter(self, credentials: Credentials) -> None:
        """Add a client with these credentials; it is made at its first use."""
        name = "abc"[len(self._clients)]
        session = ClientSession(
            self.run,
            clauses.lifecycle.LIFECYCLE,
            credentials=credentials,
            broker=self._broker,
            # The trace of a shared broker has the requests of all clients; `_judge` judges it after
            # each use.
            elsewhere=PASSIVE_CLAUSES,
            deadline=self.run.settings.patient_deadline,
            recorder=self._recorder,
            name=name,
        )
        self._exits.enter_context(session)
        self._clients.append(_Client(name, session))

    @rule(number=_NUMBERS, way=_WAYS)
    @_recorded
    def use(self, number: int, way: int) -> None:
        """Use a client; the model predicts the result."""
        self._use(number, self._operation(way))

    @precondition(lambda self: self.run.time.is_virtual)
    @rule(number=_NUMBERS, lifetime=lifetimes(), way=_WAYS)
    @_recorded
    def expire_and_use(self, number: int, lifetime: int, way: int) -> None:
        """Let all tokens expire, change the lifetime of the next token, and use a client."""
        # Any session can move the clock: all of them share it.
        self._clients[0].session.advance(self._broker.expires_in + 1)
        self._clients[0].session.issue_with(lifetime)
        self._use(number, self._operation(way))

    def _perhaps_use(self, number: int, then: int) -> None:
        if then:
            self._use(number, self._operation(then))

    def _operation(self, way: int) -> str:
        return self.run.capabilities[way % len(self.run.capabilities)]

    def _use(self, number: int, operation: str) -> None:
        """Use a client; a failure gets the steps so far and is stored before it is raised."""
        client = self._clients[number % len(self._clients)]
        try:
            self._use_one(client, operation)
        except (ClientHung, TooManyRequests) as stopped:
            stopped.drawn = tuple(self.steps)
            # Final, because every attempt to simplify it would hang as well.
            self.limit.keep(stopped, is_final=True)
            raise
        except ScenarioEnded as ended:
            ended.drawn = tuple(self.steps)
            self.limit.keep(ended)
            raise

    def _use_one(self, client: _Client, operation: str) -> None:
        """Script what the model knows for this client, use it, and compare the result."""
        self._script_for(client)
        if self._is_refused(client):
            # A client that fetches a token when it is made has one attempt then, which must not
            # count for the use.
            client.session.make()
        # Before the use, because a token request uses the delay up.
        is_slow = bool(self._slow)
        outcome = client.session.use(operation)
        # Faults are scripted for one use at a time, because which of them applies depends on the
        # client that is used.
        self._broker.clear_scripts()
        self._broker.strict = False
        self._learn(client, outcome)
        self._judge(client, outcome, is_slow=is_slow or outcome.is_delayed)
        if outcome.token_requests:
            client.has_failed = not outcome.is_issued
        client.was_refused = outcome.error is not None and self._is_refused(client)

    @precondition(lambda self: self.run.time.is_virtual)
    @rule(seconds=time_steps(), number=_NUMBERS, then=_THEN)
    @_recorded
    def pass_time(self, seconds: int, number: int, then: int) -> None:
        """Let time pass."""
        self._clients[0].session.advance(seconds)
        self._perhaps_use(number, then)

    @precondition(lambda self: self.run.time.is_virtual)
    @rule(lifetime=lifetimes(), number=_NUMBERS, then=_THEN)
    @_recorded
    def change_lifetime(self, lifetime: int, number: int, then: int) -> None:
        """Change the lifetime of the tokens issued from now on."""
        self._clients[0].session.issue_with(lifetime)
        self._perhaps_use(number, then)

    @rule(what=st.sampled_from(["", *_OUTAGES]), number=_NUMBERS, then=_THEN)
    @_recorded
    def change_health(self, what: str, number: int, then: int) -> None:
        """Begin or end an outage of the token endpoint."""
        if what != self._outage:
            self._recorder.add(fault_step(_OUTAGES[what]) if what else FaultsCleared())
        self._outage = what
        self._perhaps_use(number, then)

    @precondition(lambda self: self.run.time.moves_during_use)
    @rule(seconds=st.integers(1, 10), number=_NUMBERS, then=_THEN)
    @_recorded
    def be_slow(self, seconds: int, number: int, then: int) -> None:
        """Delay the next token response, by the run's clock."""
        self._recorder.add(fault_step(Fault.latency(seconds), times=1))
        self._slow = seconds
        self._perhaps_use(number, then)

    @rule(number=_NUMBERS, then=_THEN)
    @_recorded
    def revoke(self, number: int, then: int) -> None:
        """Revoke every token, some seconds after the last one was issued."""
        self._clients[0].session.advance(
            _SECONDS_BEFORE_REVOCATION if self.run.time.is_virtual else 0
        )
        self._broker.revoke_tokens()
        self._recorder.add(TokensRevoked())
        self._perhaps_use(number, then)

    @precondition(lambda self: len(self._clients) < _MAX_CLIENTS)
    @rule()
    @_recorded
    def add_client(self) -> None:
        """Add another client, with credentials of its own."""
        name = "abc"[len(self._clients)]
        credentials = Credentials(f"life-client-{name}", f"life-s3cret-{name}")
        self._broker.register(credentials.client_id, credentials.client_secret)
        self._enter(credentials)

    @precondition(lambda self: len(self._clients) < _MAX_CLIENTS)
    @rule(number=_NUMBERS)
    @_recorded
    def rotate_secret(self, number: int) -> None:
        """Replace a client's secret, and add a client with the new one beside the old."""
        client = self._clients[number % len(self._clients)]
        client_id = client.session.credentials.client_id
        # By id, because an earlier rotation leaves several clients with the same id.
        for other in self._clients:
            if other.session.credentials.client_id == client_id:
                other.secret_is_current = False
        secret = f"rotated-s3cret-{len(self._clients)}"
        self._recorder.add(SecretRotated(client=client.name))
        # The client with the old secret stays, and must report that it is rejected.
        self._enter(self._broker.register(client_id, secret))

    # -- the model -----------------------------------------------------------------------------

    def _is_refused(self, client: _Client) -> bool:
        """Return whether the broker would reject a token request of this client now."""
        return bool(self._outage) or not client.secret_is_current

    def _script_for(self, client: _Client) -> None:
        """Have the broker answer this client as the model says."""
        if self._outage:
            self._broker.script(_OUTAGES[self._outage].times(_UNLIMITED))
        elif not client.secret_is_current:
            # strict, not scripted: a background request of another client has a current secret
            self._broker.strict = True
        elif self._slow:
            self._broker.script(Fault.latency(self._slow))

    def _learn(self, client: _Client, outcome: Outcome) -> None:
        """Update the model with the tokens that this use fetched."""
        for exchange in outcome.token_requests:
            if exchange.token is not None:
                client.token = exchange.token
                if self._slow:
                    self._slow_tokens[exchange.token] = self._slow
                self._slow = 0

    def _judge(self, client: _Client, outcome: Outcome, *, is_slow: bool) -> None:
        """Raise the breach of the clause that requires another result."""
        if outcome.is_after_expiry:
            self._judge_expired_use(client, outcome)
        elif self._is_refused(client):
            self._judge_refused(client, outcome)
        # with a delay the client may have reached its timeout
        elif not (is_slow and outcome.error):
            self._judge_well(client, outcome)
        for breach in judge_trace(client.session.trace, self._broker.profile):
            if breach.clause_id not in self._judged_otherwise():
                self._breach(client, clause_named(breach.clause_id), breach.what, breach.expected)

    def _judged_otherwise(self) -> set[str]:
        """Return the ids of clauses that the passive judges must not report here.

        `_judge_expired_use` judges expiry, and knows more of the cause. Rejected credentials are no
        mistake of a client whose secret was rotated.
        """
        rotated = not all(client.secret_is_current for client in self._clients)
        by_method = (
            clauses.basic.CREDENTIALS,
            clauses.post.CREDENTIALS,
            clauses.assertion.SIGNATURE,
            clauses.assertion.KEY_ID,
        )
        credentials = by_method if rotated else ()
        return {clause.id for clause in (_HONOURS, *credentials)}

    def _judge_expired_use(self, client: _Client, outcome: Outcome) -> None:
        assert outcome.token is not None
        if _HONOURS.id in self.ignored:
            return  # such a client presents expired tokens in every other situation as well
        now = client.session.now()
        seconds_after_expiry = now - outcome.token.expires_at
        what = late_use(outcome.token, now).what
        if self._is_refused(client) and outcome.requested_first:
            self._breach(client, self._clause_of_refusal(), what, "an error")
        # A failed request before this use means an outage that has outlasted the token.
        elif client.has_failed:
            self._breach(client, _OUTLASTED, what, "another attempt, or an error")
        elif seconds_after_expiry < self._slow_tokens.get(outcome.token, 0):
            self._breach(
                client, clauses.refresh.LATENCY, what, "a lifetime counted from the request"
            )
        else:
            self._breach(client, _HONOURS, what, "a new token")

    def _judge_refused(self, client: _Client, outcome: Outcome) -> None:
        """Raise a breach if no token could be fetched, and the client raised nothing."""
        # Without a token request, the broker has rejected nothing.
        if outcome.error is None and outcome.token is None and outcome.token_requests:
            what = f"the broker issued no token, and the client {outcome.in_words}"
            self._breach(client, self._clause_of_refusal(), what, "an error")

    def _clause_of_refusal(self) -> Clause:
        if self._outage:
            return _OUTLASTED
        # A client may know a 401 well, and not the provider's own refusal of a secret.
        form = self._broker.profile.error_form("invalid_client")
        is_usual = form is None or form.status == HTTPStatus.UNAUTHORIZED
        return clauses.errors.INVALID_CLIENT if is_usual else clauses.errors.PROFILE

    def _judge_well(self, client: _Client, outcome: Outcome) -> None:
        """Raise a breach if the use should have succeeded and did not."""
        if outcome.token_state is TokenState.REVOKED and not (outcome.error and outcome.is_issued):
            # Only a call of the API shows a revocation: get_token() cannot know of it.
            if outcome.operation == REQUEST:
                what = "the client gave up a call because its token was revoked"
                self._breach(client, clauses.signing.REVOKED, what, "a new token and one more try")
        elif not outcome.is_good:
            error = outcome.error
            result = f"raised {client.session.masked(error)}" if error else outcome.in_words
            what = f"the broker would have issued a token, and the client {result}"
            self._breach(client, self._clause_of_failure(client), what, "a valid token")

    def _clause_of_failure(self, client: _Client) -> Clause:
        """Return the clause that a failure without a cause breaks, by what came before it."""
        # What follows a refusal is judged as the recovery from it, before any other explanation.
        if client.was_refused:
            return clauses.refresh.RECOVERS_AT_ONCE
        if self._broker.expires_in <= _LONGEST_LEEWAY:
            return clauses.refresh.SHORT_LIVED
        return clauses.lifecycle.LIFECYCLE

    def _breach(self, client: _Client, clause: Clause, what: str, expected: str) -> None:
        """Raise the breach, unless the clause is ignored."""
        if clause.id not in self.ignored:
            client.session.breach_of(clause, what, expected)

    def teardown(self) -> None:
        """Close all client sessions."""
        self._exits.close()


def state_machine_for(
    run: ContractRun, limit: ShrinkLimit, ignored: Collection[str]
) -> type[ClientStateMachine]:
    """Return the state machine for one run, which ignores some clauses.

    ``limit`` bounds the search for a simpler sequence. ``ignored`` has clause ids.
    """
    settings = {"run": run, "limit": limit, "ignored": frozenset(ignored)}
    # A class for each run, because Hypothesis makes the instances and passes them no arguments.
    return type("ClientStateMachine", (ClientStateMachine,), settings)


_NEED_A_CLOCK = {"expire_and_use", "pass_time", "change_lifetime"}
# A dozen refreshes, after which a client that counts has reached its limit. The lifetimes become
# longer and shorter, all above any leeway. The ways alternate, so that both operations refresh.
_LIFETIMES = (86400, 900, 2592000, 1200, 3600, 605, 7200, 3599, 10000, 1800, 3600, 700)
_STORIES: tuple[Steps, ...] = (
    (
        ("begin", 3600),
        ("use", 0, 0),
        ("use", 0, 1),
        *(("expire_and_use", 0, each, way % 2) for way, each in enumerate(_LIFETIMES)),
        *((("revoke", 0, 1),) * 3),
    ),
)
"""Sequences that are always run: long ones, which Hypothesis seldom draws."""


def is_step_list(plain: object) -> bool:
    """Return whether a plain example consists of steps of this state machine.

    Examples of other scenarios are tuples of drawn values.
    """
    return (
        isinstance(plain, list)
        and bool(plain)
        and all(isinstance(step, list) and step and step[0] in _STEPS for step in plain)
        and [step[0] == "begin" for step in plain] == [True] + [False] * (len(plain) - 1)
    )


def steps_from(plain: object, run: ContractRun) -> Steps:
    """Return the steps of a plain example. Raises ExampleError if they cannot happen here.

    The types of the values are compared; a step list of another version may have others.
    """
    steps: Steps = from_plain(plain)
    for name, *values in steps:
        if list(map(type, values)) != list(_STEPS[name].values()):
            raise ExampleError(f"{name!r} takes other values")
        if name in _NEED_A_CLOCK and not run.time.is_virtual:
            raise ExampleError("the client's clock cannot be moved")
        if name == "be_slow" and not run.time.moves_during_use:
            raise ExampleError("the client's clock cannot be moved while the client is used")
    return steps


def play_stories(run: ContractRun, ignored: Collection[str]) -> None:
    """Run the sequences that are always run. Raises the breach of the first that shows one."""
    # Each of them needs a clock that a test case can move.
    for steps in _STORIES if run.time.is_virtual else ():
        replay_steps(run, steps, ignored)


def replay_steps(run: ContractRun, steps: Steps, ignored: Collection[str] = ()) -> None:
    """Run the steps again. Raises the state machine's exception for a breach.

    Rules are called directly: their preconditions, which guide Hypothesis, are not checked.
    """
    machine = state_machine_for(run, run.explorer.shrink_limit(), ignored)()
    try:
        for name, *values in steps:
            getattr(machine, name)(**dict(zip(_STEPS[name], values, strict=True)))
    finally:
        machine.teardown()


def without_idle_steps(
    run: ContractRun, breached: ContractBreached, ignored: Collection[str]
) -> ContractBreached:
    """Return the breach without unnecessary steps, which are removed one by one.

    The search ends once the budget of the run is used up.
    """
    steps = breached.drawn
    # From the end, and neither the first step, which starts the broker, nor the last, which shows
    # the breach.
    for number in range(len(steps) - 2, 0, -1):
        shorter = (*steps[:number], *steps[number + 1 :])
        try:
            replay_steps(run, shorter, ignored)
        except ContractBreached as again:
            # A breach of another clause would be another finding.
            if again.clause_id == breached.clause_id:
                breached, steps = again, shorter
        # The shorter sequence ends in another way, so the step was needed.
        except ScenarioEnded:
            pass
        except OutOfTime:
            break
    return breached
