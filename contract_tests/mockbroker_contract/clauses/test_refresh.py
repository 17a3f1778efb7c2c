"""Chapter ``refresh``: a new token in time, by the lifetime and by every clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.report.steps import (
    AnswerChanged,
    TimeZoneSet,
    WallClockSet,
)
from mockbroker_contract.clauses.refresh_cases import (
    CLOCK_NOT_MOVED,
    CREDENTIALS,
    HONOURS,
    LIFETIME,
    UNLIMITED,
    how_late,
)
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.daily import measure_day
from mockbroker_contract.harness.endings import TooManyRequests
from mockbroker_contract.harness.explaining import diagnosing, shortening
from mockbroker_contract.harness.leeway import (
    PROBE_AGE,
    PROBE_LIFETIME,
    measure,
)
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes, replaced_after
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import lifetimes, time_steps
from mockbroker_contract.timing.run_time import VirtualTime


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
    with scenario.session(credentials=CREDENTIALS, expires_in=steps[0][0]) as session:
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
    if scenario.run.settings.profile.answer.lifetime in ("seconds", "milliseconds"):
        # The others are moments by the provider's clock: no client can use them by a wrong one.
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
        credentials=CREDENTIALS, expires_in=LIFETIME, elsewhere=[HONOURS]
    ) as session:
        # Half a lifetime before, so that the clocks change while the token is valid.
        with change(LIFETIME / 2):
            session.record(step)
            session.use_well(operation)
            session.advance(LIFETIME + 1)
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
    # The times of an assertion are wrong with the clock, and the client cannot know.
    elsewhere = [HONOURS, clauses.assertion.LIFETIME, clauses.assertion.CLOCK]
    with scenario.session(
        credentials=CREDENTIALS, expires_in=LIFETIME, elsewhere=elsewhere
    ) as session:
        if while_valid:
            session.use_well(operation)
        with time.wall_clock_ahead(ahead_seconds):
            session.record(WallClockSet(ahead_seconds=ahead_seconds))
            session.use_well(operation)
            session.advance(LIFETIME + 1)
            outcome = session.use(operation)
        # A clock that is wrong all the time matters only beside another clock.
        cause = None if while_valid else Diagnosis(mistake=Mistake.OTHER_CLOCK)
        # After the context, because the control has clocks that are right.
        with diagnosing(lambda _: cause):
            return _judge_clocks(scenario, session, outcome)


def _judge_clocks(scenario: Scenario, session: ClientSession, outcome: Outcome) -> Situation:
    if outcome.is_after_expiry:
        what = f"the client used a token {how_late(session, outcome)}"
        exchanges = outcome.exchanges
        scenario.needs_expiry_control(outcome.operation, LIFETIME, after=1)
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
            credentials=CREDENTIALS, expires_in=0 if is_first else LIFETIME
        ) as session:
            if not is_first:
                session.use_well(operation)
                session.advance(LIFETIME + 1)
                session.issue_with(0)
            if stated < 0:
                session.broker.token_answer = TokenAnswer(members={"expires_in": stated})
                session.record(AnswerChanged(members={"expires_in": stated}))
            known = len(session.trace.token_requests)
            for _ in range(_USES):
                try:
                    outcome = session.use(operation)
                except TooManyRequests as flood:
                    # A breach of errors.bounded wherever it happens, and of this clause here.
                    session.note_flood(flood)
                    session.breach(
                        f"it requested tokens without end, each with a lifetime of {stated} s",
                        "at most one token request for each call",
                        flood.exchanges,
                    )
                if outcome.error is not None and not outcome.token_requests and not is_first:
                    scenario.needs_expiry_control(operation, LIFETIME, after=1)
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

    With the provider's lifetime, and with one of five minutes, for which a client with a large
    leeway may have none.

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
                raise NotTested(f"{CLOCK_NOT_MOVED}, and without one no leeway shows")
            return Situation.MET  # measuring the leeway has already judged it
        # The control: a client that never refreshes breaks `refresh.honours-expires-in`, not this
        # clause.
        scenario.needs_expiry_control(operation, lifetime, after=1)
        with scenario.session(credentials=CREDENTIALS, expires_in=lifetime) as session:
            first = session.use_well(operation)
            session.advance(lifetime - before)
            if not session.use_replaces(first.token, operation):
                session.breach(
                    f"{before:g} s before its expiry the token of {lifetime} s was used again",
                    "a new one at least 1 s before expiry",
                )
            return Situation.MET

    scenario.for_each([LIFETIME, _FIVE_MINUTES], run_case)


_FIVE_MINUTES = 300
"""A lifetime in seconds that many brokers have by default; usual leeways are up to that."""


@pytest.mark.contract_clause(clauses.refresh.NOT_TOO_EAGER)
def test_not_too_eager(scenario: Scenario) -> None:
    """Check that the client does not replace a token in the first half of its lifetime.

    A client that keeps no token passes: `cache.reuse` judges that. In real time one age of 1.5 s is
    judged, which shows clients that read the lifetime as milliseconds.
    """

    def run_case(drawn: tuple[Sequence[float], str], lifetime: int = LIFETIME) -> Situation:
        ages, operation = drawn
        with scenario.session(credentials=CREDENTIALS, expires_in=lifetime) as session:
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
    ages = st.lists(st.integers(1, LIFETIME // 2), min_size=1, max_size=4)
    first = [([1, 600, LIFETIME // 2], op) for op in scenario.run.capabilities]
    with (
        diagnosing(partial(diagnosed_by_lifetimes, scenario.run)),
        shortening(partial(_replaced_early, scenario)),
    ):
        scenario.for_all(st.tuples(ages, scenario.operations()), run_case, first=first)


def _replaced_early(scenario: Scenario, operation: str) -> None:
    """Raise the breach at the very age at which the client replaces its token."""
    age = replaced_after(scenario.run, operation, LIFETIME, LIFETIME / 2)
    if age is None:
        return
    with scenario.session(credentials=CREDENTIALS, expires_in=LIFETIME) as session:
        first = session.use_well(operation)
        session.advance(age)
        if session.use_well(operation).token != first.token:
            session.breach(
                f"the token was replaced after {age:.4g} s of its {LIFETIME} s",
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
        with scenario.session(credentials=CREDENTIALS, expires_in=before or lifetime) as session:
            if before:
                session.use_well(operation)
                session.advance(before + 1)
                session.issue_with(lifetime)
            known = len(session.trace.token_requests)
            for _ in range(uses):
                outcome = session.use(operation)
                if before and outcome.error is not None and not outcome.token_requests:
                    scenario.needs_expiry_control(operation, before, after=1)
                _must_answer(session, outcome, lifetime)
            return _at_most_one_request_each(session, known, uses, lifetime)

    # The usual leeways, at which a client regards a new token as expired at once.
    short = (1, 5, 30, 60, 300, 600)
    after_long_ones = (1, 30) if scenario.run.time.is_virtual else ()
    first = [
        (before, lifetime, 3, operation)
        for before, lives in ((0, short), (LIFETIME, after_long_ones))
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
        raise NotTested(CLOCK_NOT_MOVED)
    # A latency moves the virtual clock during the request; a delay takes real time.
    slow = Fault.latency if time.moves_during_use else Fault.delay

    def run_case(drawn: tuple[int, float, str]) -> Situation:
        lifetime, delay, operation = drawn
        scenario.needs_expiry_control(operation, lifetime)
        with scenario.session(
            credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
        ) as session:
            # For each request that the client may send.
            session.broker.script(slow(delay).times(UNLIMITED))
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
