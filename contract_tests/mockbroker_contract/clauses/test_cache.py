"""Chapter ``cache``: one token for many calls, and a separate cache for each client."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from msgspec import structs

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.clauses.signing import answered_challenges
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials, TokenState
from mockbroker.model.exchange import Exchange
from mockbroker.report.steps import (
    AnswerChanged,
    AnswersDelayed,
    Arrangement,
    ClientUsed,
    EventLoopChanged,
    FileDamage,
    FileDamaged,
    HomeMadeUnwritable,
    OtherClientAdded,
    SecretRotated,
    TimeZoneSet,
    TokensRevoked,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotApplicable, NotTested, ScenarioEnded
from mockbroker_contract.drivers.removal import remove
from mockbroker_contract.harness.arrangements import (
    cancelled_use,
    refused_at_once,
    while_one_is_in_flight,
)
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.daily import measure_herd
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.explaining import diagnosing
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes
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

    Three more forms follow the explored ones: the second token of a client; a lifetime as a string,
    as older Azure endpoints send it; and a time zone behind UTC, where a client that mixes local
    time and UTC fails.
    """
    scenario.run.needs_working_client()

    def run_case(drawn: tuple[Credentials, int, int, str]) -> Situation:
        credentials, lifetime, uses, operation = drawn
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
    with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
        scenario.for_all(drawn, run_case, first=first)
    if scenario.run.time.is_virtual:
        with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
            scenario.for_each([3599], lambda life, op: _reuse_of_second(scenario, life, op))
    # Providers such as older Azure endpoints send the lifetime as a string. A client that computes
    # with the string may drop the token too soon.
    scenario.for_each(["3600", "2592000"], lambda text, op: _reuse_with_text(scenario, text, op))
    zoned = scenario.run.zoned_time
    if zoned is not None:
        # A day before, so that only the difference to UTC counts. A client that mixes local time
        # and UTC may take a new token for expired.
        with (
            zoned.before_the_clocks_go_back(86400),
            diagnosing(lambda _: Diagnosis(mistake=Mistake.LOCAL_TIME)),
        ):
            scenario.for_each([3599], lambda life, op: _reuse_in_zone(scenario, life, op))


def _reuse_of_second(scenario: Scenario, lifetime: int, operation: str) -> Situation:
    """Judge the reuse of the token that replaced an expired one."""
    with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
        session.use_well(operation)
        session.advance(lifetime + 1)
        # A client may use its old token once more while it requests the next one.
        session.use_well(operation)
        return _one_token(session, _USES, operation)


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
    before = len(session.trace.token_requests)
    outcomes = [_used(session, session.use(operation)) for _ in range(uses)]
    tokens = {outcome.token for outcome in outcomes}
    requests = session.trace.token_requests[before:]
    if len(tokens) > 1:
        session.breach(
            f"{uses} calls at one moment used {len(tokens)} tokens, and requested {len(requests)}",
            "one token for all of them: each was valid for long enough",
            requests,
        )
    return Situation.met_if(session.trace.token_requests)


def _used(session: ClientSession, outcome: Outcome) -> Outcome:
    """Return the outcome if a token was used.

    An exception breaches the clause; a use without a token is not judged.
    """
    if outcome.error is not None:
        session.breach(
            f"with expires_in={session.broker.expires_in:.15g} the client raised "
            f"{session.masked(outcome.error)}",
            "one token for all calls",
        )
    if outcome.token is None:
        raise NotTested("a call was made without a token of the broker")
    return outcome


@pytest.mark.contract_clause(clauses.cache.HUGE_LIFETIME)
def test_huge_lifetime(scenario: Scenario) -> None:
    """Check that successive calls share one token whose lifetime is longer than any calendar.

    A client that keeps no token at all need not fail either. A client whose tokens its neighbours
    find is not given such a token.
    """
    scenario.run.needs_working_client()
    # Asked before, because a token that outlives the run would be found by every later client.
    if _shares_with_others(scenario):
        raise NotTested("other clients would find that token", blocked_by=clauses.cache.ISOLATION)

    def run_case(lifetime: int, operation: str) -> Situation:
        # Credentials of their own: a client that shares tokens by its id never drops this one.
        credentials = Credentials(f"huge-lifetime-{operation}", "cache-s3cret")
        with scenario.session(credentials=credentials, expires_in=lifetime) as session:
            if _keeps_tokens(scenario, operation):
                return _one_token(session, _USES, operation)
            return Situation.met_if(_used(session, session.use(operation)).is_good)

    scenario.for_each([10**12], run_case)


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
            scenario.session(
                credentials=one, scope=_scope(difference, "read"), name="first"
            ) as first,
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
    with diagnosing(partial(_missing_in_key, run_case, first[0][1:3])):
        scenario.for_all(drawn, run_case, first=first)


def _missing_in_key(
    run_case: Callable[[tuple[str, Credentials, Credentials, str]], Situation],
    pairs: tuple[Credentials, Credentials],
    operation: str,
) -> Diagnosis | None:
    """Return which setting the key of the client's cache lacks; None if it has no key at all."""

    def is_missing(difference: str) -> bool:
        try:
            run_case((difference, *pairs, operation))
        except ScenarioEnded as ended:
            return isinstance(ended, ContractBreached)
        return False

    missing = list(filter(is_missing, _DIFFERENCES))
    if {"client_id", "secret", "broker"} <= set(missing):
        return Diagnosis(mistake=Mistake.NO_KEY)
    missing = [name for name in missing if _WIDER.get(name) not in missing]
    if not missing:
        return None
    return Diagnosis(mistake=Mistake.KEY_WITHOUT, setting=" and the ".join(map(_in_key, missing)))


# A key without the first of a pair lacks the second as well.
_WIDER = {"case of client_id": "client_id", "host": "broker"}


def _in_key(difference: str) -> str:
    """Return what a key of a cache has that is different for two clients with that difference."""
    return {"broker": "token URL", "host": "host of the token URL"}.get(difference, difference)


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
        return scenario.session(credentials=own, name="second")
    if difference == "host":
        return scenario.session(credentials=own, neighbour=session.broker, name="second")
    # The broker compares ids exactly, so a cache that ignores case confuses these two.
    if difference == "case of client_id":
        other = Credentials(own.client_id.swapcase(), own.client_secret)
    if difference == "secret":
        other = Credentials(own.client_id, other.client_secret)
    if difference == "scope":
        return scenario.session(
            credentials=own, scope="write", broker=session.broker, name="second"
        )
    return scenario.session(credentials=other, broker=session.broker, name="second")


def _judge_isolation(
    first: ClientSession, second: ClientSession, operation: str, difference: str
) -> Situation:
    """Use both clients in turn, and look for the token of the first in all that the second sent."""
    first_use = first.use_well(operation)
    _switch_to(first.broker, second, difference)
    for step in first.recorder.steps():
        # The numbers of exchanges are those of one broker, and only the second one's are shown.
        is_other = isinstance(step, ClientUsed) and first.broker is not second.broker
        second.record(structs.replace(step, exchanges=()) if is_other else step)
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
_UNAUTHORIZED = 401
_SLOW_FIRST = (0.06, 0.01, 0.04, 0.02, 0.05, 0.015, 0.03, 0.025)
"""Delays in seconds of concurrent token responses: later responses overtake earlier ones."""


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
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            deadline=scenario.run.settings.patient_deadline,
            elsewhere=[_HONOURS],
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
        return refused_at_once(session, operation, _AT_ONCE)
    if moment in (_Moment.COLD_IN_FLIGHT, _Moment.REFRESH_IN_FLIGHT):
        return while_one_is_in_flight(session, operation, _AT_ONCE)
    # Without a delay the first answer would be there before the second use has begun, and no race
    # could occur.
    session.broker.script(*(Fault.delay(seconds) for seconds in _SLOW_FIRST))
    session.record(AnswersDelayed(delays_seconds=_SLOW_FIRST))
    return session.use_at_once(operation, _AT_ONCE)


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
        if outcomes[0].status == _UNAUTHORIZED and not outcomes[0].token_requests:
            return  # a client that repeats no refused call: signing.revoked judges that
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
        is_refused = revoked_count <= _AT_ONCE and call.token_state is TokenState.REVOKED
        is_challenge = call.number in answered or (
            _is_unsigned(call) and _starts_unsigned(scenario)
        )
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


def _is_unsigned(call: Exchange) -> bool:
    return call.request.headers.get("Authorization") is None


def _starts_unsigned(scenario: Scenario) -> bool:
    """Return whether a new client calls the API unsigned, and fetches a token after the 401."""
    with scenario.session(credentials=_CREDENTIALS) as session:
        calls = session.use_well(REQUEST).api_calls
        return bool(calls) and _is_unsigned(calls[0])


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
        if not _keeps_tokens(scenario, operation):
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


def _keeps_tokens(scenario: Scenario, operation: str) -> bool:
    """Return whether a client uses a fresh token again; asked once for each operation."""
    results = scenario.run.shared.results
    if (_keeps_tokens, operation) not in results:
        with scenario.session(credentials=_CREDENTIALS, expires_in=3599) as session:
            keeps = session.use_well(operation).token == session.use(operation).token
        results[_keeps_tokens, operation] = keeps
    return bool(results[_keeps_tokens, operation])


# -- a client that is made again ---------------------------------------------------------------

_RESTARTS: dict[str, tuple[float, ...]] = {
    # The client is used again at once, and after the expiry: a token whose lifetime is counted from
    # the restart has a part of it left then.
    "earlier than expiry": (0.5, 0.6),
    "later than expiry": (1.1,),
}
"""Pauses in lifetimes of the token; the client is made again after the first one."""
_OTHER_SECRET = "another-s3cret"


@pytest.mark.contract_clause(clauses.cache.RESTART)
def test_restart(scenario: Scenario) -> None:
    """Check that a client that is made again never presents an expired token or one of others.

    It is made again in the same process. If it leaves files, it is made again in a new process as
    well, where a monotonic clock starts at another value. The control is the same client without a
    restart.
    """
    cases = [
        *(partial(_case_of_restart, scenario, pauses) for pauses in _RESTARTS.values()),
        partial(_case_of_other_secret, scenario),
    ]
    scenario.for_each_in_time(cases, lambda case, operation: case(operation))
    operation = scenario.run.capabilities[0]
    if not _leaves_files(scenario, operation):
        return
    # With one operation: a process takes longer than all the cases above.
    cases = [
        partial(_case_of_restart, scenario, (0.5, 0.6), in_new_process=True),
        partial(_case_of_restart, scenario, (1.1,), in_new_process=True),
        partial(_case_of_other_secret, scenario, in_new_process=True),
    ]
    scenario.for_each(cases, lambda case, op: case(op), operations=[operation])


def _leaves_files(scenario: Scenario, operation: str) -> bool:
    """Return whether a client writes files while it is used or closed."""
    sandbox = scenario.run.sandbox
    before = sandbox.files()
    with scenario.session(credentials=_CREDENTIALS) as session:
        session.use_well(operation)
    return sandbox.files() != before


def _case_of_restart(
    scenario: Scenario, pauses: Sequence[float], operation: str, *, in_new_process: bool = False
) -> Situation:
    """Make a client again after the first pause, and use it after each."""
    lifetime = 3599.0 if scenario.run.time.is_virtual else 2.0
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
    ) as session:
        session.use_well(operation)
        session.advance(pauses[0] * lifetime)
        session.restart(in_new_process=in_new_process)
        outcomes = [session.use(operation)]
        for pause in pauses[1:]:
            session.advance(pause * lifetime)
            outcomes.append(session.use(operation))
        for outcome in outcomes:
            if outcome.is_after_expiry:
                scenario.needs_expiry_control(operation, lifetime, after=0.1 * lifetime)
                session.breach(
                    f"made again, the client {outcome.in_words}", "a new token", outcome.exchanges
                )
        return Situation.met_if(all(outcome.is_good for outcome in outcomes))


def _case_of_other_secret(
    scenario: Scenario, operation: str, *, in_new_process: bool = False
) -> Situation:
    """Rotate the secret, and make the client again with the new one."""
    with scenario.session(credentials=_CREDENTIALS) as session:
        first = session.use_well(operation)
        session.broker.register(_CREDENTIALS.client_id, _OTHER_SECRET)
        session.record(SecretRotated(client=_CREDENTIALS.client_id))
        session.restart(in_new_process=in_new_process, secret=_OTHER_SECRET)
        second = session.use(operation)
        if first.token is not None and _presented(second, first.token.value):
            _needs_isolated_secrets(scenario, operation)
            session.breach(
                "made again with another secret, the client presented a token that was issued to "
                "the old one",
                "a token of its own",
                second.exchanges,
            )
        return Situation.met_if(second.is_good)


def _presented(outcome: Outcome, token: str) -> bool:
    """Return whether a call of the use carried the token, or get_token returned it."""
    # All calls, and not the last one only: a client may repeat a call with another token after a
    # 401.
    texts = {e.request.headers.get("Authorization") for e in outcome.api_calls}
    return any(token in (text or "") for text in {*texts, outcome.presented})


def _needs_isolated_secrets(scenario: Scenario, operation: str) -> None:
    """Raise NotTested if two live clients with different secrets share a token.

    The control: the restart is not the cause then.
    """
    one, other = Credentials("control", "control-s3cret"), Credentials("control", _OTHER_SECRET)
    with scenario.session(credentials=one) as first:
        token = first.use_well(operation).token
        first.broker.register(other.client_id, other.client_secret)
        with scenario.session(credentials=other, broker=first.broker) as second:
            if token is not None and _presented(second.use(operation), token.value):
                raise NotTested(
                    "the client presents another client's token without a restart as well",
                    blocked_by=clauses.cache.ISOLATION,
                )


# -- files -------------------------------------------------------------------------------------


@pytest.mark.contract_clause(clauses.cache.FILES)
def test_files(scenario: Scenario) -> None:
    """Check that a client without usable files of its own gets a token all the same.

    First HOME cannot be written, for any client. If the client leaves files, they are damaged while
    it lives, and before it is made again. The control is the same client with its files.
    """
    scenario.for_each([None], lambda _, operation: _case_without_home(scenario, operation))
    if _leaves_files(scenario, scenario.run.capabilities[0]):
        scenario.for_each(FileDamage, partial(_case_of_damage, scenario))


def _case_without_home(scenario: Scenario, operation: str) -> Situation:
    """Use a client while a file stands in the place of HOME."""
    with (
        scenario.session(credentials=_CREDENTIALS) as session,
        scenario.run.sandbox.file_for_home(),
    ):
        session.record(HomeMadeUnwritable())
        _must_have_token(session, session.use(operation))
        return Situation.MET


def _case_of_damage(scenario: Scenario, damage: FileDamage, operation: str) -> Situation:
    """Damage the files of a client, have it refresh, damage them again, and make it again."""
    sandbox, lifetime = scenario.run.sandbox, 3599 if scenario.run.time.is_virtual else 1
    before = sandbox.files()
    written: set[Path] = set()
    try:
        with scenario.session(
            credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
        ) as session:
            session.use_well(operation)
            session.restart()  # some clients write when they are closed
            session.use_well(operation)
            written = {path for path, mark in sandbox.files().items() if before.get(path) != mark}
            # The living client refreshes and writes again. The next one finds what is left of a
            # token that is valid.
            _damage_all(session, written, damage)
            session.advance(lifetime + 1 if scenario.run.time.is_virtual else 1.5)
            _must_have_token(session, session.use(operation))
            _damage_all(session, written, damage)
            session.restart()
            _must_have_token(session, session.use(operation))
            return Situation.met_if(written)
    finally:
        # A later client may use the same names.
        for path in written:
            remove(path)


_CONTENTS: dict[FileDamage, Callable[[bytes], bytes]] = {
    FileDamage.EMPTY: lambda _: b"",
    FileDamage.HALF_WRITTEN: lambda content: content[: len(content) // 2],
    FileDamage.FOREIGN_BYTES: lambda _: b"\x00\xff\x80 not a token\n",
    FileDamage.FOREIGN_JSON: lambda _: b'[{"version": 1}]\n',
}


def _damage_all(session: ClientSession, paths: Iterable[Path], damage: FileDamage) -> None:
    for path in sorted(paths):
        _damage(path, damage)
        session.record(FileDamaged(name=path.name, damage=damage))


def _damage(path: Path, damage: FileDamage) -> None:
    """Damage a file, unless the client has removed or replaced it after the first damage."""
    with contextlib.suppress(OSError):
        if damage is FileDamage.REPLACED_BY_FOLDER:
            # Permissions do not stop the user root, but a folder in the place of a file does.
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(_CONTENTS[damage](path.read_bytes()))


def _must_have_token(session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause unless the use ended with a valid token."""
    if outcome.is_good:
        return
    error = outcome.error
    result = f"raised {session.masked(error)}" if error else outcome.in_words
    session.breach(f"the client {result}", "a token of the broker", outcome.exchanges)


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
            credentials=_CREDENTIALS, deadline=scenario.run.settings.patient_deadline
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
    with scenario.session(credentials=_CREDENTIALS) as session:
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
    with scenario.session(credentials=_CREDENTIALS) as session:
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
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[_HONOURS],
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
                _must_have_token(session, outcome)
            return Situation.MET

    # With a token in the cache, and with one that has expired, so that the lock and the connection
    # of the first loop are used again.
    scenario.for_each_in_time([0, 2], run_case)


@pytest.mark.contract_clause(clauses.cache.FORK)
def test_fork(scenario: Scenario) -> None:
    """Check that a client works in a forked child, and in its parent afterwards.

    The parent has not used the client yet, or its token is valid, or has expired. The control is
    the same without a fork.
    """
    scenario.run.needs_working_client()
    with scenario.session(credentials=_CREDENTIALS) as session:
        session.use_well()
        if session.event_loop:
            raise NotApplicable("the client is asynchronous: no event loop survives a fork")

    def run_case(lifetimes: float | None, operation: str) -> Situation:
        lifetime = 3599 if scenario.run.time.is_virtual else 1
        with scenario.session(
            credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
        ) as session:
            if lifetimes is not None:
                session.use_well(operation)
                session.advance(lifetimes * lifetime)
            else:
                session.make()
            for outcome in (session.use_forked(operation), session.use(operation)):
                if outcome.is_after_expiry:
                    scenario.needs_expiry_control(operation, lifetime, after=1)
                _must_have_token(session, outcome)
            return Situation.MET

    # Two lifetimes, so that no leeway or rounding can make the token count as valid.
    scenario.for_each_in_time([None, 0, 2], run_case)


@pytest.mark.contract_clause(clauses.cache.PROCESSES)
def test_processes(scenario: Scenario) -> None:
    """Check that clients in many processes with the same files all get a token.

    All processes start at once. The number of their token requests is reported.
    """
    counts: list[int] = []

    def run_case(age: float, operation: str) -> Situation:
        lifetime = 3599 if scenario.run.time.is_virtual else 1
        with scenario.session(
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[_HONOURS, clauses.cache.REUSE],
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            # The client of this process may request a token when it is made.
            session.make()
            if age:
                # One client before them leaves its file, whose token has expired.
                session.use_well(operation)
                session.advance(age * lifetime)
            # Slow answers make the processes meet: each requests its token while others do.
            session.broker.script(*(Fault.delay(seconds) for seconds in _SLOW_FIRST))
            session.record(AnswersDelayed(delays_seconds=_SLOW_FIRST))
            outcomes = session.use_in_processes(operation, _AT_ONCE)
            counts.append(len(outcomes[0].token_requests))
            for outcome in outcomes:
                if outcome.is_after_expiry:
                    raise NotTested(
                        "a process presented an expired token",
                        blocked_by=scenario.cause_among(_HONOURS, clauses.cache.RESTART),
                    )
                _must_have_token(session, outcome)
            return Situation.met_if(outcomes[0].token_requests)

    try:
        scenario.for_each([0, 2], run_case, operations=scenario.run.capabilities[:1])
    finally:
        if counts:
            scenario.run.findings.learn(process_token_requests=max(counts))
