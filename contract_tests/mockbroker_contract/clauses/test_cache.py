"""Chapter ``cache``: one token for many calls, and a separate cache for each client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.clauses.signing import answered_challenges
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials, TokenState
from mockbroker.report.steps import (
    AnswerChanged,
    AnswersDelayed,
    OtherClientAdded,
    TimeZoneSet,
)
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.brokers import CENTURY_SECONDS
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import LONG_LIFETIMES, plain_credentials

_CREDENTIALS = Credentials("cache-client", "cache-s3cret")
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
# More than two, because a client may store a token at its second use only.
_USES = 4
_UNAUTHORIZED = 401


@pytest.mark.contract_clause(clauses.cache.REUSE)
def test_reuse(scenario: Scenario) -> None:
    """Check that successive calls share one token while it is valid.

    Two more forms follow the explored ones. One is a lifetime as a string, as older Azure endpoints
    send it. The other is a time zone behind UTC, where a client that mixes local time and UTC
    fails. A client whose tokens its neighbours find is not given a lifetime of centuries.
    """
    scenario.run.needs_working_client()
    # Asked before, because a token that outlives the run would be found by every later client.
    shares = _shares_with_others(scenario)

    def run_case(drawn: tuple[Credentials, int, int, str]) -> Situation:
        credentials, lifetime, uses, operation = drawn
        if lifetime > CENTURY_SECONDS and shares:
            raise NotTested(
                "other clients would find that token", blocked_by=clauses.cache.ISOLATION
            )
        with scenario.session(credentials=credentials, expires_in=lifetime) as session:
            return _one_token(session, uses, operation)

    first = [
        (_CREDENTIALS, lifetime, _USES, operation)
        for lifetime in LONG_LIFETIMES
        for operation in scenario.run.capabilities
    ]
    drawn = st.tuples(
        plain_credentials(),
        # At least an hour, which is longer than every sound leeway.
        st.sampled_from(LONG_LIFETIMES) | st.integers(3600, 2592000),
        st.integers(2, 6),
        scenario.operations(),
    )
    scenario.for_all(drawn, run_case, first=first)
    # Providers such as older Azure endpoints send the lifetime as a string. A client that computes
    # with the string may drop the token too soon.
    scenario.for_each(["3600", "2592000"], lambda text, op: _reuse_with_text(scenario, text, op))
    zoned = scenario.run.zoned_time
    if zoned is not None:
        # A day before, so that only the difference to UTC counts. A client that mixes local time
        # and UTC may take a new token for expired.
        with zoned.before_the_clocks_go_back(86400):
            scenario.for_each([3599], lambda life, op: _reuse_in_zone(scenario, life, op))


def _shares_with_others(scenario: Scenario) -> bool:
    """Return whether a client presents a token that another broker issued to another client.

    Asked before the test cases: a client with a cache that all clients share would find the token
    of an earlier case.
    """
    with scenario.session(credentials=_CREDENTIALS) as one:
        one.use_well()
        with scenario.session(credentials=Credentials("cache-other", "other-s3cret")) as other:
            try:
                other.use_well()
            # Raised for a token of another broker, after that breach was noted.
            except NotTested:
                return True
    return False


def _reuse_in_zone(scenario: Scenario, lifetime: int, operation: str) -> Situation:
    """Judge the reuse of one token while local time is Chicago's."""
    with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
        session.record(TimeZoneSet(zone="Chicago"))
        return _one_token(session, _USES, operation)


def _reuse_with_text(scenario: Scenario, lifetime: str, operation: str) -> Situation:
    """Judge the reuse of one token whose lifetime came as a string.

    A client that rejects strings passes: `response.expires-in-forms` judges that.
    """
    with scenario.session(credentials=_CREDENTIALS, expires_in=int(lifetime)) as session:
        session.broker.token_answer = TokenAnswer(members={"expires_in": lifetime})
        session.record(AnswerChanged(members={"expires_in": lifetime}))
        if session.use(operation).error is not None and session.trace.token_requests:
            return Situation.MET  # a client may refuse strings: response.expires-in-forms
        return _one_token(session, _USES, operation)


def _one_token(session: ClientSession, uses: int, operation: str) -> Situation:
    """Use the client several times at one moment; all uses must have the same token."""
    outcomes = [_used(session, session.use(operation)) for _ in range(uses)]
    tokens = {outcome.token for outcome in outcomes}
    if len(tokens) > 1:
        session.breach(
            f"{uses} calls at one moment used {len(tokens)} tokens, "
            f"fetched by {len(session.trace.token_requests)} requests",
            "one token for all of them: each was valid for long enough",
            session.trace.token_requests,
        )
    return Situation.met_if(session.trace.token_requests)


def _used(session: ClientSession, outcome: Outcome) -> Outcome:
    """Return the outcome if a token was used.

    An exception breaches the clause; a use without a token is not judged.
    """
    if outcome.error is not None:
        session.breach(
            f"with expires_in={session.broker.expires_in:g} the client raised "
            f"{session.masked(outcome.error)}",
            "one token for all calls",
        )
    if outcome.token is None:
        raise NotTested("a call was made without a token of the broker")
    return outcome


@pytest.mark.contract_clause(clauses.cache.ISOLATION)
def test_isolation(scenario: Scenario) -> None:
    """Check that clients side by side in one process never present one another's tokens.

    Each case has two live clients that differ in one setting: id, its case, secret, scope, broker
    or host. The second one must present a token of its own. A client that presents none is not
    judged.
    """

    def run_case(drawn: tuple[str, Credentials, Credentials, str]) -> Situation:
        difference, one, other, operation = drawn
        with (
            scenario.session(credentials=one, scope=_scope(difference, "read")) as first,
            _neighbour(scenario, first, difference, other) as second,
        ):
            return _judge_isolation(first, second, operation, difference)

    pairs = (Credentials("client-a", "s3cret-of-a"), Credentials("client-b", "s3cret-of-b"))
    first = [(d, *pairs, op) for d in _DIFFERENCES for op in scenario.run.capabilities]
    drawn = st.tuples(
        st.sampled_from(_DIFFERENCES),
        plain_credentials(),
        plain_credentials(),
        scenario.operations(),
        # The case is about one difference, so the drawn pairs must differ in both parts.
    ).filter(
        lambda e: e[1].client_id != e[2].client_id and e[1].client_secret != e[2].client_secret
    )
    scenario.for_all(drawn, run_case, first=first)


# What a cache key has left out in real clients, one at a time.
_DIFFERENCES = ("client_id", "case of client_id", "secret", "scope", "broker", "host")


def _scope(difference: str, scope: str) -> str:
    return scope if difference == "scope" else ""


def _neighbour(
    scenario: Scenario, session: ClientSession, difference: str, other: Credentials
) -> ClientSession:
    """Return a second client session that differs from the first in exactly one setting.

    The first session owns the broker, unless the difference is the broker or the host.
    """
    own = session.credentials
    if difference == "broker":
        return scenario.session(credentials=own)
    if difference == "host":
        return scenario.session(credentials=own, neighbour=session.broker)
    # The broker compares ids exactly, so a cache that ignores case confuses these two.
    if difference == "case of client_id":
        other = Credentials(own.client_id.swapcase(), own.client_secret)
    if difference == "secret":
        other = Credentials(own.client_id, other.client_secret)
    if difference == "scope":
        return scenario.session(credentials=own, scope="write", broker=session.broker)
    return scenario.session(credentials=other, broker=session.broker)


def _judge_isolation(
    first: ClientSession, second: ClientSession, operation: str, difference: str
) -> Situation:
    """Use both clients in turn, and look for the token of the first in all that the second sent."""
    first_use = first.use_well(operation)
    _switch_to(first.broker, second, difference)
    second.record(OtherClientAdded(difference=difference))
    second_use = second.use(operation)
    if second_use.presented is None:
        raise NotTested("the second client presented no token")
    # All calls, and not the last one only: a client may repeat a call with its own token after a
    # 401.
    borrowed = {e.request.headers.get("Authorization") for e in second_use.api_calls} | {
        second_use.presented
    }
    if any(first_use.token and first_use.token.value in (text or "") for text in borrowed):
        # A client that sends no scope gets the same token for each, and cannot confuse them.
        if difference == "scope" and not _asks_for_scope(first):
            return Situation.UNMET
        second.breach(
            f"the second client presented the token of the first, which has another {difference}",
            "a token of its own",
        )
    return Situation.met_if(second_use.token)


def _switch_to(broker: Broker, second: ClientSession, difference: str) -> None:
    """Change the broker so that it accepts the second client as well."""
    if difference in {"client_id", "case of client_id", "secret"}:
        broker.register(second.credentials.client_id, second.credentials.client_secret)
    if difference == "scope":
        broker.scope = "write"


def _asks_for_scope(session: ClientSession) -> bool:
    return any(b"scope=" in e.request.body for e in session.trace.token_requests)


# Enough uses for a race, and few enough to start within milliseconds.
_AT_ONCE = 8
_SLOW_FIRST = (0.06, 0.01, 0.04, 0.02, 0.05, 0.015, 0.03, 0.025)
"""Delays in seconds of concurrent token responses: later responses overtake earlier ones."""


_Judge = Callable[[ClientSession, list[Outcome]], None]


def _burst(scenario: Scenario, moment: str, operation: str, judge: _Judge) -> Situation:
    """Use a client many times at once, and judge the outcomes before its session ends.

    The outcomes are cached because the broker delays its responses in real time. Another clause can
    then judge the same outcomes.

    ``moment`` is ``cold``, when the client has no token, or ``at refresh``, when its token has
    expired. ``judge`` raises the breach.
    """
    # In real time the token has to expire while the test waits.
    lifetime = 3599 if scenario.run.time.is_virtual else 1
    with (
        scenario.session(
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            deadline=scenario.run.settings.patient_deadline,
            elsewhere=[_HONOURS],
        ) as session,
    ):
        if moment == "at refresh":
            session.use_well(operation)
            # The token must have expired, so that all uses need a new one at the same moment.
            session.advance(max(2 * lifetime, 1.5) if scenario.run.time.is_virtual else 1.5)
        # The new token must not expire during the burst, whatever the machine does meanwhile.
        session.issue_with(3599)
        # Without a delay the first answer would be there before the second use has begun, and no
        # race could occur.
        session.broker.script(*(Fault.delay(seconds) for seconds in _SLOW_FIRST))
        session.record(AnswersDelayed(delays_seconds=_SLOW_FIRST))
        outcomes = session.use_at_once(operation, _AT_ONCE)
        # Before the judgement, which may raise: another clause judges the same burst.
        scenario.run.shared.results[_burst, moment, operation] = session, outcomes
        judge(session, outcomes)
        return Situation.met_if(outcomes[0].token_requests)


# The first token and a refresh are often different code in a client.
_MOMENTS = ("cold", "at refresh")


@pytest.mark.contract_clause(clauses.cache.THREAD_SAFE)
def test_thread_safe(scenario: Scenario) -> None:
    """Check that each of many concurrent uses gets a valid token.

    Judged by each outcome of the burst, by the tokens of all its calls, and by one use after it.
    The control for an expired token is the same lifetime without concurrency.
    """
    scenario.run.needs_many_at_once()

    def judge(session: ClientSession, outcomes: list[Outcome]) -> None:
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
        _MOMENTS,
        lambda moment, op: _burst(scenario, moment, op, judge),
        operations=_concurrent_operations(scenario),
    )


def _concurrent_operations(scenario: Scenario) -> list[str]:
    """Return the operations that the driver can run concurrently."""
    run = scenario.run
    return [each for each in run.capabilities if run.clients.can_be_used_at_once(each)]


def _must_all_be_valid(scenario: Scenario, session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause if a call of the burst had an invalid token."""
    fetched = {exchange.token for exchange in outcome.token_requests}
    answered = answered_challenges(outcome.exchanges)
    for call in outcome.api_calls:
        if call.number in answered:
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


@pytest.mark.contract_clause(clauses.cache.SINGLE_FLIGHT)
def test_single_flight(scenario: Scenario) -> None:
    """Check that many concurrent uses lead to one token request.

    The largest number of token requests is reported, passed or not. A client that keeps no token
    has nothing to share and is not judged.
    """
    scenario.run.needs_many_at_once()
    counts: list[int] = []

    def judge(session: ClientSession, outcomes: list[Outcome]) -> None:
        counts.append(len(outcomes[0].token_requests))
        if counts[-1] > 1:
            session.breach_of(
                scenario.clause,
                f"{len(outcomes)} uses at once led to {counts[-1]} token requests",
                "one, whose token all of them use",
                outcomes[0].token_requests,
            )
        failed = sum(not outcome.is_good for outcome in outcomes)
        if failed:
            # One request for the few uses that succeeded does not show that the others share it.
            raise NotTested(
                f"{failed} of {len(outcomes)} uses at once failed",
                blocked_by=scenario.cause_among(clauses.cache.THREAD_SAFE),
            )

    def run_case(moment: str, operation: str) -> Situation:
        if not _keeps_tokens(scenario, operation):
            raise NotTested("the client keeps no token to share", blocked_by=clauses.cache.REUSE)
        # The burst was judged for `cache.thread-safe` already; another one would wait again.
        if earlier := scenario.run.shared.results.get((_burst, moment, operation)):
            judge(*earlier)
            return Situation.met_if(earlier[1][0].token_requests)
        return _burst(scenario, moment, operation, judge)

    try:
        scenario.for_each(_MOMENTS, run_case, operations=_concurrent_operations(scenario))
    finally:
        if counts:
            # Also after a breach: the number says how far the client is from one request.
            scenario.run.findings.learn(burst_token_requests=max(counts))


def _keeps_tokens(scenario: Scenario, operation: str) -> bool:
    with scenario.session(credentials=_CREDENTIALS, expires_in=3599) as session:
        return session.use_well(operation).token == session.use(operation).token
