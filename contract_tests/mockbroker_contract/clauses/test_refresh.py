"""Chapter ``refresh``: a new token before the old one expires, and not too often."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import AnswerChanged, FaultsCleared, TimeZoneSet
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.leeway import (
    PROBE_AGE,
    PROBE_LIFETIME,
    leeway_at_once,
    measure,
)
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import lifetimes, time_steps

_CREDENTIALS = Credentials("refresh-client", "refresh-s3cret")
# The lifetime in the token response of the provider's documentation.
_LIFETIME = 3599
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
_CLOCK_NOT_MOVED = "the client's clock could not be moved"


@pytest.mark.contract_clause(clauses.refresh.HONOURS_EXPIRES_IN)
def test_honours_expires_in(scenario: Scenario) -> None:
    """Check that no expired token is presented, for any lifetime and any passage of time.

    Passive: the broker knows when each token expires. The cases change lifetimes and let time pass;
    the last one has a change of local time. In real time only lifetimes of one and two seconds are
    tried.
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
    scenario.for_all(drawn, lambda d: _case_of_lifetimes(scenario, *d), first=first)
    zoned = scenario.run.zoned_time
    if zoned is None:
        return
    # A client that computes the expiry in local time is wrong by an hour here.
    # Half a lifetime before, so that the clocks go back while the token is valid.
    with zoned.before_the_clocks_go_back(_LIFETIME / 2):
        scenario.for_each([_LIFETIME], lambda life, op: _case_of_time_zone(scenario, life, op))


def _case_of_time_zone(scenario: Scenario, lifetime: int, operation: str) -> Situation:
    """Use a token in Chicago before and after the clocks go back, and after its expiry."""
    with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
        session.record(TimeZoneSet(zone="Chicago", clock_goes_back=True))
        session.use_well(operation)
        session.advance(lifetime + 1)
        return Situation.met_if(session.use(operation).is_good)


def _case_of_lifetimes(
    scenario: Scenario, steps: list[tuple[int, int]], operation: str
) -> Situation:
    """Let a token of each lifetime age by the given seconds.

    The client is used before and after each; whether a use was late, the broker records.
    """
    with scenario.session(credentials=_CREDENTIALS, expires_in=steps[0][0]) as session:
        for lifetime, seconds in steps:
            session.issue_with(lifetime)
            session.use_well(operation)
            session.advance(seconds)
            outcome = session.use(operation)
        # One more expiry: a client may miscount only after several lifetimes.
        if len(steps) > 1 and session.can_pass(7200):
            session.advance(steps[-1][0])
            outcome = session.use(operation)
        # A client that fails only when a token expires presents no expired token either.
        return Situation.met_if(outcome.is_good)


@pytest.mark.contract_clause(clauses.refresh.AHEAD)
def test_ahead(scenario: Scenario) -> None:
    """Check that the client replaces a token one second before it expires.

    The leeway is measured first and reported. Where the clock runs on during a request, half a
    second before expiry is judged. The response time would shorten a leeway of exactly one second.
    """
    scenario.run.needs_working_client()
    leeway = measure(scenario.run)
    if leeway is not None:
        # Before the cases, so that a breach does not lose the measurement.
        scenario.run.findings.learn(**leeway.facts())

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
    scenario.for_all(st.tuples(ages, scenario.operations()), run_case, first=first)


@pytest.mark.contract_clause(clauses.refresh.SHORT_LIVED)
def test_short_lived(scenario: Scenario) -> None:
    """Check that tokens with a lifetime below the leeway work, with one request for each call.

    Every lifetime up to 700 s, 0 among them: a client whose leeway is longer must neither fail nor
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
            fetched = session.trace.token_requests[known:]
            # One more is allowed: a client may fetch a token when it is made, and again at its
            # first use.
            if len(fetched) > uses + 1:
                session.breach(
                    f"{uses} calls with a lifetime of {lifetime} s led to {len(fetched)} token "
                    "requests",
                    "at most one for each call, and one more at first use",
                    fetched,
                )
            return Situation.met_if(fetched)

    # The usual leeways, at which a client regards a new token as expired at once, and 0.
    short = (0, 1, 5, 30, 60, 300, 600)
    after_long_ones = (0, 1, 30) if scenario.run.time.is_virtual else ()
    first = [
        (before, lifetime, 3, operation)
        for before, lives in ((0, short), (_LIFETIME, after_long_ones))
        for lifetime in lives
        for operation in scenario.run.capabilities
    ]
    # Without an expiry before, so that they can be tried in real time as well.
    drawn = st.tuples(st.just(0), st.integers(0, 700), st.integers(2, 5), scenario.operations())
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


@pytest.mark.contract_clause(clauses.refresh.SAME_GRANT)
def test_same_grant(scenario: Scenario) -> None:
    """Check that the client refreshes by the client credentials grant, not a refresh token.

    RFC 6749, 4.4.3: a response to this grant should have no refresh token. A client that is given
    one must request its next token by the same grant.
    """

    def run_case(refresh_token: str, operation: str) -> Situation:
        lifetime = _LIFETIME if scenario.run.time.is_virtual else 1
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            if refresh_token:
                session.broker.token_answer = TokenAnswer(members={"refresh_token": refresh_token})
                session.record(AnswerChanged(members={"refresh_token": refresh_token}))
            session.use_well(operation)
            # So late that even a client that rounds to whole seconds has seen the expiry.
            session.advance(2 * lifetime if scenario.run.time.is_virtual else 1.5)
            session.use(operation)
            if len(session.trace.token_requests) < 2:  # noqa: PLR2004 - the first and the next
                raise NotTested("the client requested no new token", blocked_by=_HONOURS)
            return Situation.MET

    # With and without a refresh token: RFC 6749, 4.4.3 says that none should be included, and some
    # brokers include one.
    scenario.for_each_in_time(["r3fresh", ""], run_case)


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

    def run_case(what: str, operation: str) -> Situation:
        lifetime, pauses = _lifetime_and_pauses(scenario)
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

    scenario.for_each_in_time(_OUTAGES, run_case)


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
            scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            session.breach(
                "the broker was down, and the expired token was used",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        if outcome.error is None:
            session.breach(
                f"the broker was down, and the client {outcome.in_words}",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        return Situation.MET


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
            # The control: a client that uses expired tokens in any case breaks another clause.
            scenario.needs_expiry_control(operation, _LIFETIME, after=_SECONDS_LATE)
            session.breach(
                "the outage outlasted the token, and the client still used it",
                "an error: there was no valid token",
                outcome.exchanges,
            )
        # A client that sent no token request in either use has not met the outage.
        return Situation.met_if(before.token_requests or outcome.token_requests)


@pytest.mark.contract_clause(clauses.refresh.RECOVERS)
def test_recovers(scenario: Scenario) -> None:
    """Check that the client succeeds at its first use after an outage.

    The client is used several times in the outage, so that a circuit breaker opens or a counter of
    failures is full. Its first use afterwards must succeed.
    """

    def run_case(what: str, operation: str) -> Situation:
        with _session_before_expiry(scenario) as session:
            _let_it_expire(session, operation)
            _outage(session, what)
            if not session.use(operation).token_requests:
                raise NotTested("the client requested no new token", blocked_by=_HONOURS)
            # An open circuit breaker, or a counter of failures, shows only after several of them.
            for _ in range(_MORE_USES if scenario.run.time.is_virtual else 2):
                session.use(operation)
            session.broker.clear_scripts()
            session.record(FaultsCleared())
            outcome = session.use(operation)
            if outcome.is_after_expiry:
                scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            if not outcome.is_good:
                error = outcome.error
                result = f"raised {session.masked(error)}" if error else outcome.in_words
                session.breach(
                    f"at the first use after the outage the client {result}",
                    "a new token",
                    outcome.exchanges,
                )
            return Situation.MET

    scenario.for_each_in_time(_OUTAGES, run_case)
