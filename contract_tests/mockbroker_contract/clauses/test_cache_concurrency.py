"""Chapter ``cache``: uses at once, in threads, in tasks, and in several event loops."""

from __future__ import annotations

import enum
from collections.abc import Callable

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.clauses.signing import answered_challenges
from mockbroker.model.credentials import TokenState
from mockbroker.report.steps import (
    AnswersDelayed,
    Arrangement,
    EventLoopChanged,
    TokensRevoked,
)
from mockbroker_contract.clauses.cache_cases import (
    AT_ONCE,
    CREDENTIALS,
    HONOURS,
    SLOW_FIRST,
    keeps_tokens,
    must_have_token,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.arrangements import (
    cancelled_use,
    refused_at_once,
    while_one_is_in_flight,
)
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.daily import measure_herd
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_UNAUTHORIZED = 401


_Judge = Callable[[ClientSession, list[Outcome]], None]


class _Moment(enum.Enum):
    """When a client is used many times at once.

    It has no token when ``COLD``; ``AT_REFRESH`` its token has expired. ``IN_FLIGHT`` its only
    token request waits for the broker. ``REFUSED`` its calls are all under way when its token is
    revoked.
    """

    COLD = "cold"
    AT_REFRESH = "at refresh"
    COLD_IN_FLIGHT = "cold, while one is in flight"
    REFRESH_IN_FLIGHT = "at refresh, while one is in flight"
    REFUSED = "after refusals at once"


_WITHOUT_TOKEN = (_Moment.COLD, _Moment.COLD_IN_FLIGHT)


def _burst(scenario: Scenario, moment: _Moment, operation: str, judge: _Judge) -> Situation:
    """Use a client many times at once, and judge the outcomes before its session ends.

    The outcomes are cached because the broker delays its responses in real time. Another clause can
    then judge the same outcomes. ``judge`` raises the breach.
    """
    if moment is _Moment.REFUSED and operation != REQUEST:
        return Situation.UNMET  # only a call shows a refusal
    if moment is _Moment.REFUSED:
        scenario.needs_recovery_from_refusal()
    # In real time the token has to expire while the test waits.
    lifetime = 3599 if scenario.run.time.is_virtual else 1
    with (
        scenario.session(
            credentials=CREDENTIALS,
            expires_in=lifetime,
            deadline=scenario.run.settings.patient_deadline,
            elsewhere=[HONOURS],
        ) as session,
    ):
        if moment not in _WITHOUT_TOKEN:
            session.use_well(operation)
        if moment in (_Moment.AT_REFRESH, _Moment.REFRESH_IN_FLIGHT):
            # The token must have expired, so that all uses need a new one at the same moment.
            session.advance(max(2 * lifetime, 1.5) if scenario.run.time.is_virtual else 1.5)
        # The new token must not expire during the burst, whatever the machine does meanwhile.
        session.issue_with(3599)
        outcomes = _outcomes_at(moment, session, operation)
        # Before the judgement, which may raise: another clause judges the same burst.
        scenario.run.shared.results[_burst, moment, operation] = session, outcomes
        judge(session, outcomes)
        return Situation.met_if(outcomes[0].token_requests)


def _outcomes_at(moment: _Moment, session: ClientSession, operation: str) -> list[Outcome]:
    """Use the client many times at once, in the way of that moment."""
    if moment is _Moment.REFUSED:
        session.broker.revoke_tokens()
        session.record(TokensRevoked())
        return refused_at_once(session, operation, AT_ONCE)
    if moment in (_Moment.COLD_IN_FLIGHT, _Moment.REFRESH_IN_FLIGHT):
        return while_one_is_in_flight(session, operation, AT_ONCE)
    # Without a delay the first answer would be there before the second use has begun, and no race
    # could occur.
    session.broker.script(*(Fault.delay(seconds) for seconds in SLOW_FIRST))
    session.record(AnswersDelayed(delays_seconds=SLOW_FIRST))
    return session.use_at_once(operation, AT_ONCE)


def _moments(scenario: Scenario) -> list[_Moment]:
    """Return the moments that the driver can bring about.

    The first token, a refresh and a refusal are often different code in a client. A program can be
    used at once, but not one use after the other.
    """
    if scenario.run.clients.arranges_uses:
        return list(_Moment)
    return [_Moment.COLD, _Moment.AT_REFRESH]


@pytest.mark.contract_clause(clauses.cache.THREAD_SAFE)
def test_thread_safe(scenario: Scenario) -> None:
    """Check that each of many concurrent uses gets a valid token.

    Judged by each outcome of the burst, by the tokens of all its calls, and by one use after it.
    The control for an expired token is the same lifetime without concurrency.
    """
    scenario.run.needs_many_at_once()

    def judge(session: ClientSession, outcomes: list[Outcome]) -> None:
        if _fails_alone(scenario, session, outcomes):
            return
        for outcome in outcomes:
            if outcome.error is not None:
                session.breach(
                    f"one of {len(outcomes)} uses at once raised {session.masked(outcome.error)}",
                    "a valid token for every one of them",
                    outcome.exchanges,
                )
            # The uses share their exchanges, so that only the status shows which one gave up.
            if outcome.status == _UNAUTHORIZED:
                session.breach(
                    f"one of {len(outcomes)} uses at once ended with a 401",
                    "a valid token for every one of them",
                    outcome.exchanges,
                )
            if outcome.is_after_expiry:
                lifetime = session.broker.expires_in
                scenario.needs_expiry_control(outcome.operation, lifetime, after=1)
            if not outcome.is_good:
                session.breach(
                    f"one of {len(outcomes)} uses at once {outcome.in_words}",
                    "a valid token for every one of them",
                    outcome.exchanges,
                )
        # The outcomes share their exchanges, so the first one has the calls of all.
        _must_all_be_valid(scenario, session, outcomes[0])
        # A race may leave a broken state behind, which only the next use shows.
        after = session.use(outcomes[0].operation)
        if not after.is_good:
            session.breach(
                f"after {len(outcomes)} uses at once the client {after.in_words}", "a token"
            )

    scenario.for_each(
        _moments(scenario),
        lambda moment, op: _burst(scenario, moment, op, judge),
        operations=_concurrent_operations(scenario),
    )
    if scenario.run.clients.arranges_uses:
        scenario.for_each(
            list(_FAILURES) if scenario.run.time.is_virtual else [_Moment.COLD_IN_FLIGHT],
            lambda moment, op: _failed_together(scenario, moment, op),
            operations=_concurrent_operations(scenario),
        )


def _fails_alone(scenario: Scenario, session: ClientSession, outcomes: list[Outcome]) -> bool:
    """Return whether the uses ended as a single one would, which another clause judges.

    The uses share their calls. A client that repeats no refused call, though it may have got a
    token for later ones: `signing.revoked` judges that. Raises NotTested if the client gets no
    second token in any case.
    """
    first = outcomes[0]
    if not first.token_requests and all(outcome.error for outcome in outcomes):
        scenario.needs_expiry_control(first.operation, session.broker.expires_in, after=1)
    return first.status == _UNAUTHORIZED and len(first.api_calls) <= len(outcomes)


# What ends the token request for which the others wait.
_FAILURES: dict[_Moment, Fault] = {
    _Moment.COLD_IN_FLIGHT: Fault.status(503),
    _Moment.REFRESH_IN_FLIGHT: Fault.reset(),
}


def _failed_together(scenario: Scenario, moment: _Moment, operation: str) -> Situation:
    """Judge uses that wait for a token request which fails: each has to end, with an error or not.

    A client may wake those that wait only when there is a token. Whether the first use ends with an
    error is for other clauses to judge.
    """
    with scenario.session(
        credentials=CREDENTIALS,
        deadline=scenario.run.settings.patient_deadline,
        elsewhere=[HONOURS],
    ) as session:
        if moment is _Moment.REFRESH_IN_FLIGHT:
            session.use_well(operation)
            session.advance(2 * session.broker.expires_in)
        session.record(fault_step(_FAILURES[moment], times=1))
        # A use that does not end is a breach of the clause: see the deadline of the session.
        first, *others = while_one_is_in_flight(session, operation, AT_ONCE, _FAILURES[moment])
        for outcome in others if first.error is not None else []:
            if outcome.error is None and not outcome.is_good and not outcome.is_after_expiry:
                session.breach(
                    f"a token request failed, and a use that had waited for it {outcome.in_words}",
                    "an error, or a valid token",
                    outcome.exchanges,
                )
        return Situation.met_if(first.token_requests)


def _concurrent_operations(scenario: Scenario) -> list[str]:
    """Return the operations that the driver can run concurrently."""
    run = scenario.run
    return [each for each in run.capabilities if run.clients.can_be_used_at_once(each)]


def _must_all_be_valid(scenario: Scenario, session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause if a call of the burst had an invalid token."""
    fetched = {exchange.token for exchange in outcome.token_requests}
    answered = answered_challenges(outcome.exchanges)
    revoked_count = 0
    for call in outcome.api_calls:
        # One call of each use may have got its token before the client could know of its end. By
        # count, not by order: a client with one connection sends them one after the other.
        revoked_count += call.token_state is TokenState.REVOKED
        is_refused = revoked_count <= AT_ONCE and call.token_state is TokenState.REVOKED
        is_challenge = call.number in answered or (call.is_unsigned and _starts_unsigned(scenario))
        if is_refused or is_challenge:
            continue
        # A token of this burst may expire on its way, and the client could not do better.
        if call.token_state is not TokenState.VALID and call.token not in fetched:
            if call.token_state is TokenState.EXPIRED:
                lifetime = session.broker.expires_in
                scenario.needs_expiry_control(outcome.operation, lifetime, after=1)
            state = call.token_state.value if call.token_state else "missing"
            session.breach(
                f"one of the calls at once was signed with a token that is {state}",
                "a valid one for every call",
                [call],
            )


def _starts_unsigned(scenario: Scenario) -> bool:
    """Return whether a new client calls the API unsigned, and fetches a token after the 401."""
    with scenario.session(credentials=CREDENTIALS) as session:
        calls = session.use_well(REQUEST).api_calls
        return bool(calls) and calls[0].is_unsigned


@pytest.mark.contract_clause(clauses.cache.SINGLE_FLIGHT)
def test_single_flight(scenario: Scenario) -> None:
    """Check that many concurrent uses lead to one token request.

    The largest number of token requests is reported, passed or not. A client that keeps no token
    has nothing to share and is not judged.
    """
    scenario.run.needs_many_at_once()
    counts: list[int] = []
    failures: list[int] = []

    def judge(session: ClientSession, outcomes: list[Outcome]) -> None:
        counts.append(len(outcomes[0].token_requests))
        failed = sum(not outcome.is_good for outcome in outcomes)
        failures.append(failed)
        if counts[-1] > 1:
            session.breach_of(
                scenario.clause,
                f"{len(outcomes)} uses at once led to {counts[-1]} token requests",
                "one, whose token all of them use",
                outcomes[0].token_requests,
            )
        if failed:
            # One request for the few uses that succeeded does not show that the others share it.
            raise NotTested(
                f"{failed} of {len(outcomes)} uses at once failed",
                blocked_by=scenario.cause_among(clauses.cache.THREAD_SAFE),
            )

    def run_case(moment: _Moment, operation: str) -> Situation:
        if not keeps_tokens(scenario, operation):
            raise NotTested("the client keeps no token to share", blocked_by=clauses.cache.REUSE)
        # The burst was judged for `cache.thread-safe` already; another one would wait again.
        if earlier := scenario.run.shared.results.get((_burst, moment, operation)):
            judge(*earlier)
            return Situation.met_if(earlier[1][0].token_requests)
        return _burst(scenario, moment, operation, judge)

    try:
        scenario.for_each(_moments(scenario), run_case, operations=_concurrent_operations(scenario))
    finally:
        if counts:
            # Also after a breach: the number says how far the client is from one request.
            scenario.run.findings.learn(burst_token_requests=max(counts))
        if counts and not any(failures):
            operation = _concurrent_operations(scenario)[0]
            scenario.run.findings.learn(**measure_herd(scenario.run, operation))


# -- cancelled callers, other loops and other processes ----------------------------------------


@pytest.mark.contract_clause(clauses.cache.CANCELLATION)
def test_cancellation(scenario: Scenario) -> None:
    """Check that a cancelled caller takes the token from no other caller.

    The broker holds the token request of the first use, the others begin, and then one of them is
    cancelled: a waiter, or the first use itself. The control is the same without a cancellation.
    """
    _needs_event_loop(scenario, "asyncio")

    def run_case(arrangement: Arrangement, operation: str) -> Situation:
        with scenario.session(
            credentials=CREDENTIALS, deadline=scenario.run.settings.patient_deadline
        ) as session:
            others = cancelled_use(session, operation, _WITH_CANCELLED, arrangement)
            after = session.use(operation)
            for outcome in (*others, after):
                if outcome.is_good:
                    continue
                _needs_concurrency(scenario, operation)
                error = outcome.error
                result = f"raised {session.masked(error)}" if error else outcome.in_words
                who = "the next use" if outcome is after else "another caller"
                session.breach(
                    f"after the cancellation of one caller, {who} {result}",
                    "a valid token",
                    outcome.exchanges,
                )
            return Situation.MET

    scenario.for_each([Arrangement.WAITER_CANCELLED, Arrangement.FETCHER_CANCELLED], run_case)


_WITH_CANCELLED = 4
"""The first use, the cancelled one, and others that wait beside it."""


def _needs_concurrency(scenario: Scenario, operation: str) -> None:
    """Raise NotTested if uses at the same time fail without a cancellation as well."""
    with scenario.session(credentials=CREDENTIALS) as session:
        outcomes = while_one_is_in_flight(session, operation, _WITH_CANCELLED)
        if not all(outcome.is_good for outcome in outcomes):
            raise NotTested(
                "uses at once fail without a cancellation as well",
                blocked_by=clauses.cache.THREAD_SAFE,
            )


def _needs_event_loop(scenario: Scenario, framework: str = "") -> None:
    """Raise NotApplicable unless the client runs in an event loop, or in that framework's.

    Known after a use, because a function may return an awaitable without being asynchronous.
    """
    scenario.run.needs_working_client()
    with scenario.session(credentials=CREDENTIALS) as session:
        session.use_well()
        loop = session.event_loop
    if not loop:
        raise NotApplicable("the client is synchronous")
    if framework and loop != framework:
        raise NotApplicable(f"the client runs in {loop}; only tasks of {framework} are cancelled")


@pytest.mark.contract_clause(clauses.cache.EVENT_LOOPS)
def test_event_loops(scenario: Scenario) -> None:
    """Check that the client works in a second event loop, many times at once in each.

    A lock or a connection belongs to the loop in which it was first waited for. The control is the
    same client in its first loop.
    """
    _needs_event_loop(scenario)

    def run_case(lifetimes: float, operation: str) -> Situation:
        lifetime = 3599 if scenario.run.time.is_virtual else 1
        with scenario.session(
            credentials=CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[HONOURS],
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            before = session.use_at_once(operation, 2)
            if not all(outcome.is_good for outcome in before):
                raise NotTested("the client fails in its first event loop")
            session.advance(lifetimes * lifetime)
            session.change_loop()
            session.record(EventLoopChanged())
            for outcome in session.use_at_once(operation, 2):
                if outcome.is_after_expiry:
                    scenario.needs_expiry_control(operation, lifetime, after=1)
                must_have_token(session, outcome)
            return Situation.MET

    # With a token in the cache, and with one that has expired, so that the lock and the connection
    # of the first loop are used again.
    scenario.for_each_in_time([0, 2], run_case)
