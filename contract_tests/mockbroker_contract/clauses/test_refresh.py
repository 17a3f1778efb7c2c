"""Chapter ``refresh``: a new token before the old one expires, and not too often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Exchange
from mockbroker.report.steps import (
    AnswerChanged,
    FaultsCleared,
    TimeZoneSet,
    TokenPolicySet,
    TokensRevoked,
    WallClockSet,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.arrangements import refreshed_meanwhile
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.daily import measure_day
from mockbroker_contract.harness.endings import TooManyRequests
from mockbroker_contract.harness.explaining import diagnosing, shortening
from mockbroker_contract.harness.leeway import (
    PROBE_AGE,
    PROBE_LIFETIME,
    leeway_at_once,
    measure,
)
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes, replaced_after
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import lifetimes, time_steps
from mockbroker_contract.timing.run_time import VirtualTime

_CREDENTIALS = Credentials("refresh-client", "refresh-s3cret")
# The lifetime in the token response of the provider's documentation.
_LIFETIME = 3599
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
_CLOCK_NOT_MOVED = "the client's clock could not be moved"


@pytest.mark.contract_clause(clauses.refresh.HONOURS_EXPIRES_IN)
def test_honours_expires_in(scenario: Scenario) -> None:
    """Check that no expired token is presented, for any lifetime and any passage of time.

    Passive: the broker knows when each token expires. The cases change lifetimes and let time pass.
    In real time only lifetimes of one and two seconds are tried.
    """
    if not scenario.run.time.is_virtual:
        # The shortest lifetimes: each is waited for in real time.
        lives = [1, 2]
        scenario.for_each_in_time(
            lives, lambda life, op: _case_of_lifetimes(scenario, [(life, life)], op)
        )
        return
    drawn = st.tuples(
        st.lists(st.tuples(lifetimes(), time_steps()), min_size=1, max_size=6),
        scenario.operations(),
    )
    first = [
        (steps, operation)
        for steps in (
            # After the expiry, at the very second of it, and with a short life after a long one: a
            # client may keep the first lifetime.
            [(3599, 3600)],
            [(3599, 3599)],
            [(3599, 3600), (60, 61)],
            [(86400, 86401), (5, 6)],
        )
        for operation in scenario.run.capabilities
    ]
    with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
        scenario.for_all(drawn, lambda d: _case_of_lifetimes(scenario, *d), first=first)


def _case_of_lifetimes(
    scenario: Scenario, steps: list[tuple[int, int]], operation: str
) -> Situation:
    """Let a token of each lifetime age by the given seconds.

    The client is used before and after each; whether a use was late, the broker records.
    """
    with scenario.session(credentials=_CREDENTIALS, expires_in=steps[0][0]) as session:
        late = []
        for lifetime, seconds in steps:
            session.issue_with(lifetime)
            session.use_well(operation)
            session.advance(seconds)
            late.append(session.use(operation))
        # One more expiry: a client may miscount only after several lifetimes.
        if len(steps) > 1 and session.can_pass(7200):
            session.advance(steps[-1][0])
            late.append(session.use(operation))
        # A client that fails only when a token expires presents no expired token either.
        return Situation.met_if(all(outcome.is_good for outcome in late))


@pytest.mark.contract_clause(clauses.refresh.CLOCK_CHANGES)
def test_clock_changes(scenario: Scenario) -> None:
    """Check that no expired token is presented when the client's clocks change or are wrong.

    Local time goes back and forth by an hour during the life of a token. The machine's clock is set
    forth, or is two hours behind or ahead of the broker's all the time. The control is the same
    lifetime with clocks that are right.
    """
    zoned = scenario.run.zoned_time
    if zoned is None:
        raise NotTested("the client's local time and clock could not be changed")
    # The control shows that only the time zone is the cause.
    with diagnosing(lambda _: Diagnosis(mistake=Mistake.LOCAL_TIME)):
        changes = [
            TimeZoneSet(zone="Chicago", clock_goes_back=True),
            TimeZoneSet(zone="Chicago", clock_goes_forth=True),
        ]
        scenario.for_each(changes, partial(_case_of_zone, scenario, zoned))
    wall_clocks = [(-_TWO_HOURS, False), (_TWO_HOURS, False), (_TWO_HOURS, True)]
    scenario.for_each(wall_clocks, partial(_case_of_wall_clock, scenario, zoned))


_TWO_HOURS = 7200


def _case_of_zone(
    scenario: Scenario, time: VirtualTime, step: TimeZoneSet, operation: str
) -> Situation:
    """Use a token, and the client again after its expiry, while local time changes by an hour."""
    change = time.before_the_clocks_go_back
    if step.clock_goes_forth:
        change = time.before_the_clocks_go_forth
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=_LIFETIME, elsewhere=[_HONOURS]
    ) as session:
        # Half a lifetime before, so that the clocks change while the token is valid.
        with change(_LIFETIME / 2):
            session.record(step)
            session.use_well(operation)
            session.advance(_LIFETIME + 1)
            outcome = session.use(operation)
        # After the context, because the control has local time that is UTC.
        return _judge_clocks(scenario, session, outcome)


def _case_of_wall_clock(
    scenario: Scenario, time: VirtualTime, drawn: tuple[float, bool], operation: str
) -> Situation:
    """Use a client after the expiry of its token while its wall clock is wrong.

    The clock is set before the token is fetched, or while the token is valid.
    """
    ahead_seconds, while_valid = drawn
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=_LIFETIME, elsewhere=[_HONOURS]
    ) as session:
        if while_valid:
            session.use_well(operation)
        with time.wall_clock_ahead(ahead_seconds):
            session.record(WallClockSet(ahead_seconds=ahead_seconds))
            session.use_well(operation)
            session.advance(_LIFETIME + 1)
            outcome = session.use(operation)
        # A clock that is wrong all the time matters only beside another clock.
        cause = None if while_valid else Diagnosis(mistake=Mistake.OTHER_CLOCK)
        # After the context, because the control has clocks that are right.
        with diagnosing(lambda _: cause):
            return _judge_clocks(scenario, session, outcome)


def _judge_clocks(scenario: Scenario, session: ClientSession, outcome: Outcome) -> Situation:
    if outcome.is_after_expiry:
        what = f"the client used a token {_late(session, outcome)}"
        exchanges = outcome.exchanges
        scenario.needs_expiry_control(outcome.operation, _LIFETIME, after=1)
        session.breach(what, "a new token", exchanges)
    return Situation.met_if(outcome.is_good)


@pytest.mark.contract_clause(clauses.refresh.ZERO_LIFETIME)
def test_zero_lifetime(scenario: Scenario) -> None:
    """Check that a token without any lifetime is used for one call, and fetched once for each.

    The broker's tokens expire when they are issued. The answer says 0, or less. They come from the
    beginning, or after a token with an ordinary lifetime.
    """

    def run_case(drawn: tuple[int, bool], operation: str) -> Situation:
        stated, is_first = drawn
        with scenario.session(
            credentials=_CREDENTIALS, expires_in=0 if is_first else _LIFETIME
        ) as session:
            if not is_first:
                session.use_well(operation)
                session.advance(_LIFETIME + 1)
                session.issue_with(0)
            if stated < 0:
                session.broker.token_answer = TokenAnswer(members={"expires_in": stated})
                session.record(AnswerChanged(members={"expires_in": stated}))
            known = len(session.trace.token_requests)
            for _ in range(_USES):
                try:
                    outcome = session.use(operation)
                except TooManyRequests as flood:
                    session.breach(
                        f"it requested tokens without end, each with a lifetime of {stated} s",
                        "at most one token request for each call",
                        flood.exchanges,
                    )
                _must_answer(session, outcome, stated)
                if outcome.is_after_expiry:
                    scenario.needs_expiry_control(operation, _SHORT_LIFETIME, after=1)
                    session.breach(
                        f"a token with a lifetime of {stated} s was used for another call",
                        "a token fetched for each call",
                        outcome.exchanges,
                    )
            return _at_most_one_request_each(session, known, _USES, stated)

    firsts = (True, False) if scenario.run.time.is_virtual else (True,)
    scenario.for_each([(stated, first) for stated in (0, -1, -3600) for first in firsts], run_case)


_USES = 3
_SHORT_LIFETIME = 60


def _at_most_one_request_each(
    session: ClientSession, known: int, uses: int, lifetime: int
) -> Situation:
    """Judge the number of token requests after the ``known`` ones; one more is allowed."""
    fetched = session.trace.token_requests[known:]
    # A client may fetch a token when it is made, and again at its first use.
    if len(fetched) > uses + 1:
        session.breach(
            f"{uses} calls with a lifetime of {lifetime} s led to {len(fetched)} token requests",
            "at most one for each call, and one more at first use",
            fetched,
        )
    return Situation.met_if(fetched)


@pytest.mark.contract_clause(clauses.refresh.AHEAD)
def test_ahead(scenario: Scenario) -> None:
    """Check that the client replaces a token one second before it expires.

    The leeway is measured first and reported, and so are the token requests of a day. Where the
    clock runs on during a request, half a second before expiry is judged. The response time would
    shorten a leeway of exactly one second.
    """
    scenario.run.needs_working_client()
    leeway = measure(scenario.run)
    if leeway is not None:
        # Before the cases, so that a breach does not lose the measurement.
        scenario.run.findings.learn(**leeway.facts())
    scenario.run.findings.learn(**measure_day(scenario.run, leeway))

    # Where the client's clock runs during the request, the response time shortens a leeway of 1 s.
    before = 1 if scenario.run.time.moves_during_use else 0.5

    def run_case(lifetime: int, operation: str) -> Situation:
        if not scenario.run.time.is_virtual:
            if leeway is None:
                raise NotTested(f"{_CLOCK_NOT_MOVED}, and without one no leeway shows")
            return Situation.MET  # measuring the leeway has already judged it
        # The control: a client that never refreshes breaks `refresh.honours-expires-in`, not this
        # clause.
        scenario.needs_expiry_control(operation, lifetime, after=1)
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            first = session.use_well(operation)
            session.advance(lifetime - before)
            if not session.use_replaces(first.token, operation):
                session.breach(
                    f"{before:g} s before its expiry the token of {lifetime} s was used again",
                    "a new one at least 1 s before expiry",
                )
            return Situation.MET

    scenario.for_each([_LIFETIME], run_case)


@pytest.mark.contract_clause(clauses.refresh.NOT_TOO_EAGER)
def test_not_too_eager(scenario: Scenario) -> None:
    """Check that the client does not replace a token in the first half of its lifetime.

    A client that keeps no token passes: `cache.reuse` judges that. In real time one age of 1.5 s is
    judged, which shows clients that read the lifetime as milliseconds.
    """

    def run_case(drawn: tuple[Sequence[float], str], lifetime: int = _LIFETIME) -> Situation:
        ages, operation = drawn
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            session.use_well(operation)
            # The second token, because some clients replace the first one at their second use.
            kept, passed = session.use_well(operation), 0.0
            if session.use_well(operation).token != kept.token:
                return Situation.MET  # the client keeps no token at all: cache.reuse judges that
            # Sorted, because time only moves forward.
            for age in sorted(ages):
                session.advance(age - passed)
                passed = age
                if session.use_well(operation).token != kept.token:
                    session.breach(
                        f"the token was replaced after {age:g} s of its {lifetime} s",
                        "the token to be kept for at least half of its lifetime",
                        session.trace.token_requests,
                    )
            return Situation.MET

    if not scenario.run.time.is_virtual:
        scenario.for_each_in_time(
            [[PROBE_AGE]], lambda ages, operation: run_case((ages, operation), PROBE_LIFETIME)
        )
        return
    # Up to half of the lifetime, because a sound leeway may be proportional.
    ages = st.lists(st.integers(1, _LIFETIME // 2), min_size=1, max_size=4)
    first = [([1, 600, _LIFETIME // 2], op) for op in scenario.run.capabilities]
    with (
        diagnosing(partial(diagnosed_by_lifetimes, scenario.run)),
        shortening(partial(_replaced_early, scenario)),
    ):
        scenario.for_all(st.tuples(ages, scenario.operations()), run_case, first=first)


def _replaced_early(scenario: Scenario, operation: str) -> None:
    """Raise the breach at the very age at which the client replaces its token."""
    age = replaced_after(scenario.run, operation, _LIFETIME, _LIFETIME / 2)
    if age is None:
        return
    with scenario.session(credentials=_CREDENTIALS, expires_in=_LIFETIME) as session:
        first = session.use_well(operation)
        session.advance(age)
        if session.use_well(operation).token != first.token:
            session.breach(
                f"the token was replaced after {age:.4g} s of its {_LIFETIME} s",
                "the token to be kept for at least half of its lifetime",
                session.trace.token_requests,
            )


@pytest.mark.contract_clause(clauses.refresh.SHORT_LIVED)
def test_short_lived(scenario: Scenario) -> None:
    """Check that tokens with a lifetime below the leeway work, with one request for each call.

    Every lifetime from 1 s up to 700 s: a client whose leeway is longer must neither fail nor
    request tokens in a loop.
    """

    def run_case(drawn: tuple[int, int, int, str]) -> Situation:
        before, lifetime, uses, operation = drawn
        with scenario.session(credentials=_CREDENTIALS, expires_in=before or lifetime) as session:
            if before:
                session.use_well(operation)
                session.advance(before + 1)
                session.issue_with(lifetime)
            known = len(session.trace.token_requests)
            for _ in range(uses):
                _must_answer(session, session.use(operation), lifetime)
            return _at_most_one_request_each(session, known, uses, lifetime)

    # The usual leeways, at which a client regards a new token as expired at once.
    short = (1, 5, 30, 60, 300, 600)
    after_long_ones = (1, 30) if scenario.run.time.is_virtual else ()
    first = [
        (before, lifetime, 3, operation)
        for before, lives in ((0, short), (_LIFETIME, after_long_ones))
        for lifetime in lives
        for operation in scenario.run.capabilities
    ]
    # Without an expiry before, so that they can be tried in real time as well.
    drawn = st.tuples(st.just(0), st.integers(1, 700), st.integers(2, 5), scenario.operations())
    scenario.for_all(drawn, run_case, first=first)


def _must_answer(session: ClientSession, outcome: Outcome, lifetime: int) -> None:
    """Raise the breach of the clause if the use failed, or used no token."""
    if outcome.error is not None:
        session.breach(
            f"with a lifetime of {lifetime} s the client raised {session.masked(outcome.error)}",
            "an answer, by the token just fetched",
        )
    if outcome.token is None:
        session.breach(
            f"with a lifetime of {lifetime} s no token was used", "the token just fetched"
        )


@pytest.mark.contract_clause(clauses.refresh.LATENCY)
def test_latency(scenario: Scenario) -> None:
    """Check that a slow token response does not make the client present an expired token.

    A token is issued before its response is delayed. A client that counts the lifetime from the
    response uses the token too long by that delay. The control is the same lifetime without a
    delay.
    """
    time = scenario.run.time
    if not time.is_virtual:
        raise NotTested(_CLOCK_NOT_MOVED)
    # A latency moves the virtual clock during the request; a delay takes real time.
    slow = Fault.latency if time.moves_during_use else Fault.delay

    def run_case(drawn: tuple[int, float, str]) -> Situation:
        lifetime, delay, operation = drawn
        scenario.needs_expiry_control(operation, lifetime)
        with scenario.session(
            credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
        ) as session:
            # For each request that the client may send.
            session.broker.script(slow(delay).times(_UNLIMITED))
            session.record(fault_step(slow(delay)))
            session.use_well(operation)
            # The token was issued before the answer was delayed, so it expires at this moment for
            # the broker.
            session.advance(lifetime - delay)
            outcome = session.use(operation)
            if outcome.is_after_expiry:
                session.breach(
                    f"a token that took {delay} s to arrive was used after its expiry, as if "
                    "it had been issued when it arrived",
                    "a lifetime counted from before the request was sent, or enough leeway",
                    outcome.api_calls,
                )
            return Situation.met_if(outcome.is_good)

    if not time.moves_during_use:
        # Real time has no exact seconds: this pause is longer than a leeway of 1 s and shorter than
        # one of 2 s.
        scenario.for_each([1.5], lambda delay, operation: run_case((3599, delay, operation)))
        return
    first = [(3599, delay, op) for delay in (1, 5, 10) for op in scenario.run.capabilities]
    drawn = st.tuples(st.integers(60, 7200), st.integers(1, 10), scenario.operations())
    scenario.for_all(drawn, run_case, first=first)


# A lifetime at which every usual leeway is less than what is left after the restart.
_LEFT_AT_RESTART = 1000
_LEFT_LATER = (590, 240, 119, 59, 29, 9, 4, 1)
"""Seconds before expiry at which a client is used: within every usual leeway at least once."""


@pytest.mark.contract_clause(clauses.refresh.SAME_TOKEN)
def test_same_token(scenario: Scenario) -> None:
    """Check that a client copes with a broker that issues its valid token again.

    The client is made again in the middle of the token's life, so that it gets the same token with
    what is left. It is used within every usual leeway, and after the expiry. The control for a late
    use is a broker with new tokens.
    """
    is_virtual = scenario.run.time.is_virtual
    # The pauses before each use after the restart. The last one leads beyond the expiry.
    ages = [_LEFT_AT_RESTART - left for left in _LEFT_LATER] if is_virtual else []
    end = _LEFT_AT_RESTART + 1 if is_virtual else 2.5
    pauses: list[float] = [age - before for before, age in zip([0, *ages], [0, *ages][1:])]  # noqa: B905
    pauses.append(end - (ages[-1] if ages else 0))

    def run_case(lifetime: int, operation: str) -> Situation:
        with scenario.session(
            credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
        ) as session:
            session.broker.token_policy = "same"
            session.record(TokenPolicySet(policy="same"))
            session.use_well(operation)
            session.advance(lifetime - _LEFT_AT_RESTART if is_virtual else 1)
            session.restart()
            _must_cope(scenario, session, session.use(operation))
            for pause in pauses:
                session.advance(pause)
                _must_cope(scenario, session, session.use(operation))
            return Situation.met_if(_same_token_twice(session))

    scenario.for_each_in_time([_LIFETIME if is_virtual else 3], run_case)


def _must_cope(scenario: Scenario, session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause for an error, a loop, or the use of an expired token."""
    if outcome.is_after_expiry:
        what = f"the client {outcome.in_words}"
        # A lifetime like what was left of the token, at which a client may be wrong anyway.
        scenario.needs_expiry_control(outcome.operation, _LEFT_AT_RESTART, after=1)
        _needs_sound_restart(scenario, outcome.operation)
        session.breach(what, "a new token", outcome.exchanges)
    if not outcome.is_good:
        error = outcome.error
        result = f"raised {session.masked(error)}" if error else outcome.in_words
        session.breach(f"the client {result}", "the token that is valid", outcome.exchanges)
    if len(outcome.token_requests) > 1:
        session.breach(
            f"one call led to {len(outcome.token_requests)} token requests",
            "at most one: the same token is the answer to each",
            outcome.token_requests,
        )


def _needs_sound_restart(scenario: Scenario, operation: str) -> None:
    """Raise NotTested if a client that is made again presents an expired token in any case."""
    lifetime = _LIFETIME if scenario.run.time.is_virtual else 2
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
    ) as session:
        session.use_well(operation)
        session.advance(lifetime / 2)
        session.restart()
        session.use(operation)
        session.advance(lifetime / 2 + 1)
        if session.use(operation).is_after_expiry:
            raise NotTested(
                "made again, the client presents an expired token of any broker",
                blocked_by=clauses.cache.RESTART,
            )


def _same_token_twice(session: ClientSession) -> bool:
    issued = [e.token for e in session.trace.token_requests if e.token is not None]
    return len(issued) > len(set(issued))


@pytest.mark.contract_clause(clauses.refresh.SINGLE_LIVE_TOKEN)
def test_single_live_token(scenario: Scenario) -> None:
    """Check that calls whose token is ended by a refresh are repeated with the new one.

    Some calls are under way while another one refreshes. Then the API refuses them. Each must be
    repeated, and at most one of them may request another token. The control is a client whose token
    is revoked between two calls.
    """
    scenario.run.needs(REQUEST)

    def run_case(in_flight: int, operation: str) -> Situation:
        scenario.needs_recovery_from_refusal()
        # In real time, longer than the shortest leeway and short enough to wait for.
        lifetime, pause = (_LIFETIME, 2.0 * _LIFETIME) if scenario.run.time.is_virtual else (2, 2.2)
        with scenario.session(
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[_HONOURS],
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            session.broker.token_policy = "single"
            session.record(TokenPolicySet(policy="single"))
            first = session.use_well(operation)
            if session.use_well(operation).token != first.token:
                raise NotTested("the client keeps no token", blocked_by=clauses.cache.REUSE)
            outcomes = refreshed_meanwhile(session, operation, in_flight + 1, pause)
            if not outcomes[0].token_requests:
                raise NotTested("the client requested no new token", blocked_by=_HONOURS)
            for outcome in outcomes:
                refused = outcome.status == _UNAUTHORIZED
                if outcome.error is not None or refused:
                    _needs_repeated_calls(scenario, operation)
                    error = outcome.error
                    result = f"raised {session.masked(error)}" if error else "was given up"
                    session.breach(
                        f"a call under way at the refresh {result}",
                        "the call repeated once with the new token",
                        outcome.api_calls,
                    )
            requested = len(outcomes[0].token_requests)
            if requested > 2:  # noqa: PLR2004 - the refresh, and one more
                session.breach(
                    f"one refresh with {in_flight} calls under way led to {requested} token "
                    "requests, each of which ended the token before",
                    "the calls repeated with the token of the refresh",
                    outcomes[0].token_requests,
                )
            return Situation.MET

    scenario.for_each([_CALLS_IN_FLIGHT], run_case, operations=[REQUEST])


_CALLS_IN_FLIGHT = 3
_UNAUTHORIZED = 401


def _needs_repeated_calls(scenario: Scenario, operation: str) -> None:
    """Raise NotTested if the client repeats no call whose token was revoked before."""
    with scenario.session(credentials=_CREDENTIALS) as session:
        session.use_well(operation)
        session.broker.revoke_tokens()
        session.record(TokensRevoked())
        outcome = session.use(operation)
        if outcome.error is not None or outcome.status == _UNAUTHORIZED:
            raise NotTested(
                "the client repeats no call whose token was revoked",
                blocked_by=clauses.signing.REVOKED,
            )


@pytest.mark.contract_clause(clauses.refresh.SAME_GRANT)
def test_same_grant(scenario: Scenario) -> None:
    """Check that the client refreshes by the client credentials grant.

    RFC 6749, 4.4.3: a response to this grant should have no refresh token, and it has none here.
    """
    scenario.for_each_in_time([""], partial(_case_of_grant, scenario))


@pytest.mark.contract_clause(clauses.refresh.OFFERED_REFRESH_TOKEN)
def test_offered_refresh_token(scenario: Scenario) -> None:
    """Check that the client ignores a refresh token, which some brokers offer all the same."""
    scenario.for_each_in_time(["r3fresh"], partial(_case_of_grant, scenario))


def _case_of_grant(scenario: Scenario, refresh_token: str, operation: str) -> Situation:
    """Use a client after the expiry of its token; a judge of the trace finds the grant."""
    lifetime = _LIFETIME if scenario.run.time.is_virtual else 1
    with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
        if refresh_token:
            session.broker.token_answer = TokenAnswer(members={"refresh_token": refresh_token})
            session.record(AnswerChanged(members={"refresh_token": refresh_token}))
            _survive_the_offer(scenario, session, operation)
        else:
            session.use_well(operation)
        # So late that even a client that rounds to whole seconds has seen the expiry.
        session.advance(2 * lifetime if scenario.run.time.is_virtual else 1.5)
        outcome = session.use(operation)
        if len(session.trace.token_requests) < 2:  # noqa: PLR2004 - the first and the next
            if outcome.error is not None and refresh_token:
                raise NotTested(
                    "the client raised without a token request",
                    blocked_by=clauses.refresh.SAME_GRANT,
                )
            if outcome.error is not None:
                session.breach(
                    "the token had expired, and the client raised "
                    f"{session.masked(outcome.error)} without a token request",
                    "another token by the same grant",
                    outcome.exchanges,
                )
            raise NotTested("the client requested no new token", blocked_by=_HONOURS)
        return Situation.MET


def _survive_the_offer(scenario: Scenario, session: ClientSession, operation: str) -> None:
    """Use a client for the first time; the control of a failure is an answer as documented."""
    outcome = session.use(operation)
    if outcome.error is not None:
        with scenario.session(credentials=_CREDENTIALS) as control:
            control.use_well(operation)
        session.breach(
            "the token response had a refresh_token, and the client raised "
            f"{session.masked(outcome.error)}",
            "the access token",
            outcome.exchanges,
        )


_OUTAGES: dict[str, Fault] = {
    "answers 503": Fault.status(503),
    "resets connections": Fault.reset(),
}
_REFUSALS: dict[str, Fault] = {
    "answers 403": Fault.status(403),
    "answers 429": Fault.status(429),
}
"""Failures that no other clause covers and that also leave a client without a token."""
_UNLIMITED = 1000
# Less than the usual leeways before expiry, so that a refresh is due, and as clearly after it.
_SECONDS_LEFT, _SECONDS_LATE = 9, 11
_MORE_USES = 6
"""Uses in an outage; a client that stops retrying after some failures has stopped by then."""
_AGES_LEFT = (1790, 590, 299, 240, 119, 59, 29, 9, 4, 2, 0.9)
"""Seconds before expiry at which a client is used: within every usual leeway at least once.

The last is within a leeway of 1 s, and more than a client errs that rounds the expiry to a second.
"""


def _outage(session: ClientSession, what: str) -> None:
    """Begin that outage of the token endpoint, and record it as a step."""
    fault = (_OUTAGES | _REFUSALS)[what]
    session.broker.script(fault.times(_UNLIMITED))
    session.record(fault_step(fault))


def _session_before_expiry(scenario: Scenario) -> ClientSession:
    """Return a session whose tokens can expire, for cases with an outage after that."""
    lifetime = _LIFETIME if scenario.run.time.is_virtual else 1
    return scenario.session(
        credentials=_CREDENTIALS,
        expires_in=lifetime,
        elsewhere=[_HONOURS],
        deadline=scenario.run.settings.patient_deadline,
    )


def _let_it_expire(session: ClientSession, operation: str, lifetimes: float = 2) -> None:
    """Fetch a token, and let that multiple of its lifetime pass; in real time, 1.5 s."""
    session.use_well(operation)
    session.advance(lifetimes * session.broker.expires_in if session.can_pass(_LIFETIME) else 1.5)


@pytest.mark.contract_clause(clauses.refresh.OUTAGE_WHILE_VALID)
def test_outage_while_valid(scenario: Scenario) -> None:
    """Check that an outage of the broker causes no error while a token is still valid.

    The outage begins while the token is valid and a refresh is not due; then the client is used at
    ages within every usual leeway. A client that keeps no token, or never refreshes ahead, is not
    judged.
    """
    tried: list[tuple[str, float]] = []

    def run_case(what: str, operation: str) -> Situation:
        lifetime, pauses = _lifetime_and_pauses(scenario)
        age = 0.0
        with scenario.session(
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            session.use_well(operation)
            # The token of the second use, because some clients replace the first one then.
            first = session.use_well(operation)
            if session.use_well(operation).token != first.token:
                raise NotTested(
                    "the client keeps no token to continue with", blocked_by=clauses.cache.REUSE
                )
            _outage(session, what)
            before, is_tried = len(session.trace.token_requests), False
            for pause in pauses:
                session.advance(pause)
                age += pause
                tried.append((what, age))
                outcome = session.use(operation)
                if not _must_use_valid_token(session, outcome, first):
                    break
                # Without an attempt to refresh, the client has not met the outage.
                is_tried |= len(session.trace.token_requests) > before
            if not is_tried:
                raise NotTested(
                    "the client tried no refresh while its token was valid",
                    blocked_by=scenario.cause_among(clauses.refresh.AHEAD, _HONOURS),
                )
            return Situation.MET

    with shortening(lambda operation: _outage_at_one_age(scenario, *tried[-1], operation)):
        scenario.for_each_in_time(_OUTAGES, run_case)


def _outage_at_one_age(scenario: Scenario, what: str, age: float, operation: str) -> None:
    """Raise the breach at that age of the token, without the uses before."""
    if not scenario.run.time.is_virtual:
        return
    with scenario.session(credentials=_CREDENTIALS, expires_in=_LIFETIME) as session:
        first = session.use_well(operation)
        session.advance(age)
        _outage(session, what)
        _must_use_valid_token(session, session.use(operation), first)


def _lifetime_and_pauses(scenario: Scenario) -> tuple[float, list[float]]:
    """Return a lifetime, and the pauses between uses of the client during it, in seconds."""
    if scenario.run.time.is_virtual:
        ages = [_LIFETIME - left for left in _AGES_LEFT]
        return _LIFETIME, [age - before for before, age in zip([0, *ages], ages)]  # noqa: B905
    leeway = leeway_at_once(scenario.run)
    if leeway is None:
        raise NotTested(f"{_CLOCK_NOT_MOVED}, and it does not work with short lifetimes")
    # A lifetime at which the client keeps its token for a while. One use comes before the client
    # would refresh ahead, and one when it would: that refresh fails.
    return leeway + 3, [1.2, 2.3]


def _must_use_valid_token(session: ClientSession, outcome: Outcome, first: Outcome) -> bool:
    """Judge a use in an outage; return whether the first token was still valid."""
    # By the broker's own record: the client's view of the expiry is what is judged.
    if first.token is None or session.now() >= first.token.expires_at:
        return False  # the client retried for so long that the token has expired meanwhile
    left = round(first.token.expires_at - session.now(), 1)
    if outcome.error is not None:
        session.breach(
            f"with {left:g} s left to its token the client raised {session.masked(outcome.error)}",
            "the token that is still valid",
            outcome.exchanges,
        )
    if outcome.token is None:
        session.breach(
            f"with {left:g} s left to its token the client {outcome.in_words}", "that token"
        )
    return True


@pytest.mark.contract_clause(clauses.refresh.OUTAGE_AFTER_EXPIRY)
def test_outage_after_expiry(scenario: Scenario) -> None:
    """Check that the client reports an error when it cannot obtain a valid token.

    An outage that begins after the expiry, one that begins before and lasts longer, and one at the
    very moment. The control for each is the same lifetime without an outage.
    """
    time = scenario.run.time
    # Twice the lifetime, so that no leeway or rounding can make the token count as valid.
    cases = [partial(_case_of_expired_token, scenario, what, 2.0) for what in _OUTAGES]
    if time.is_virtual:
        cases += [partial(_case_of_expired_token, scenario, what, 2.0) for what in _REFUSALS]
        cases += [partial(_case_of_long_outage, scenario, what) for what in _OUTAGES]
    if time.moves_during_use:
        # Exactly at the expiry: a client that compares with <= still uses the token then.
        cases += [partial(_case_of_expired_token, scenario, what, 1.0) for what in _OUTAGES]
    scenario.for_each_in_time(cases, lambda case, operation: case(operation))


def _case_of_expired_token(
    scenario: Scenario, what: str, lifetimes: float, operation: str
) -> Situation:
    """Begin an outage when the age of the token is that multiple of its lifetime."""
    with _session_before_expiry(scenario) as session:
        _let_it_expire(session, operation, lifetimes)
        _outage(session, what)
        outcome = session.use(operation)
        if not outcome.token_requests:
            raise NotTested("the client requested no new token", blocked_by=_HONOURS)
        if outcome.is_after_expiry:
            late = _late(session, outcome)
            scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            session.breach(
                f"the token endpoint {what}, and the client used a token {late}",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        if outcome.error is None:
            session.breach(
                f"the token endpoint {what}, and the client {outcome.in_words}",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        return Situation.MET


def _late(session: ClientSession, outcome: Outcome) -> str:
    """Return in words how long the token of the outcome had expired."""
    assert outcome.token is not None
    seconds = session.now() - outcome.token.expires_at
    return f"{seconds:.0f} s after it expired" if round(seconds) else "at the moment of its expiry"


def _case_of_long_outage(scenario: Scenario, what: str, operation: str) -> Situation:
    """Begin an outage while a token is valid, and continue it after the token has expired."""
    with _session_before_expiry(scenario) as session:
        session.use_well(operation)
        session.advance(_LIFETIME - _SECONDS_LEFT)
        _outage(session, what)
        before = session.use(operation)
        session.advance(_SECONDS_LEFT + _SECONDS_LATE)
        outcome = session.use(operation)
        if outcome.is_after_expiry:
            late = _late(session, outcome)
            # The control: a client that uses expired tokens in any case breaks another clause.
            scenario.needs_expiry_control(operation, _LIFETIME, after=_SECONDS_LATE)
            session.breach(
                f"the token endpoint {what}, and the client used a token {late}",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        # A client that sent no token request in either use has not met the outage.
        return Situation.met_if(before.token_requests or outcome.token_requests)


@pytest.mark.contract_clause(clauses.refresh.RECOVERS)
def test_recovers(scenario: Scenario) -> None:
    """Check that the client succeeds within a minute after an outage; the time is reported.

    The client is used several times in the outage, so that a circuit breaker opens or a counter of
    failures is full.
    """

    def run_case(what: str, operation: str) -> Situation:
        recovery = _recovery_from(scenario, what, operation)
        if recovery.seconds is None:
            if not scenario.run.time.is_virtual:
                raise NotTested(
                    f"{_CLOCK_NOT_MOVED}, and a minute is too long to wait: the client failed at "
                    "its first use after the outage"
                )
            recovery.session.breach(
                f"{_RECOVERY_SECONDS} s after the end of the outage the client {recovery.result}",
                "a new token",
                recovery.exchanges,
            )
        return Situation.MET

    try:
        scenario.for_each_in_time(_OUTAGES, run_case)
    finally:
        known = [
            each.seconds
            for key, each in scenario.run.shared.results.items()
            if isinstance(each, _Recovery) and each.seconds is not None
        ]
        if known:
            scenario.run.findings.learn(recovery_seconds=max(known))


@pytest.mark.contract_clause(clauses.refresh.RECOVERS_AT_ONCE)
def test_recovers_at_once(scenario: Scenario) -> None:
    """Check that the client succeeds at its first use after an outage.

    Judged by the cases of `refresh.recovers`. A circuit breaker that is still open fails it.
    """

    def run_case(what: str, operation: str) -> Situation:
        recovery = _recovery_from(scenario, what, operation)
        if recovery.seconds is None and scenario.run.time.is_virtual:
            raise NotTested("the client does not recover", blocked_by=clauses.refresh.RECOVERS)
        if recovery.seconds != 0:
            recovery.session.breach(
                f"at the first use after the outage the client {recovery.result}",
                "a new token",
                recovery.exchanges,
            )
        return Situation.MET

    scenario.for_each_in_time(_OUTAGES, run_case)


# Pauses before each use after an outage; a circuit breaker opens for seconds to a minute.
_PAUSES_AFTER_OUTAGE = (0, 1, 4, 10, 15, 30)
_RECOVERY_SECONDS = sum(_PAUSES_AFTER_OUTAGE)


@dataclass(frozen=True)
class _Recovery:
    """How a client recovered from an outage.

    ``seconds`` passed until a use succeeded; None if none did. ``result`` and ``exchanges`` are
    those of the first use after the outage that shows it.
    """

    session: ClientSession
    seconds: float | None
    result: str = ""
    exchanges: tuple[Exchange, ...] = ()


def _recovery_from(scenario: Scenario, what: str, operation: str) -> _Recovery:
    """Use a client in an outage and after it. Two clauses judge the same case."""
    results = scenario.run.shared.results
    key = (_recovery_from, what, operation)
    if key not in results:
        results[key] = _recover(scenario, what, operation)
    recovery: _Recovery = results[key]
    return recovery


def _recover(scenario: Scenario, what: str, operation: str) -> _Recovery:
    is_virtual = scenario.run.time.is_virtual
    with _session_before_expiry(scenario) as session:
        _let_it_expire(session, operation)
        _outage(session, what)
        if not session.use(operation).token_requests:
            raise NotTested("the client requested no new token", blocked_by=_HONOURS)
        # An open circuit breaker, or a counter of failures, shows only after several of them.
        for _ in range(_MORE_USES if is_virtual else 2):
            session.use(operation)
        session.broker.clear_scripts()
        session.record(FaultsCleared())
        passed, result = 0.0, ""
        exchanges: tuple[Exchange, ...] = ()
        for pause in _PAUSES_AFTER_OUTAGE if is_virtual else (0,):
            session.advance(pause)
            passed += pause
            outcome = session.use(operation)
            if outcome.is_after_expiry:
                scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            if outcome.is_good:
                return _Recovery(session, passed, result, exchanges)
            error = outcome.error
            result = result or (f"raised {session.masked(error)}" if error else outcome.in_words)
            exchanges = exchanges or outcome.exchanges
        return _Recovery(session, None, result, exchanges)
