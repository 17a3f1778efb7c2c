"""Chapter ``refresh``: outages of the broker, and recovery from them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.exchange import Exchange
from mockbroker.report.steps import (
    FaultsCleared,
)
from mockbroker_contract.clauses.cache_cases import AT_ONCE
from mockbroker_contract.clauses.refresh_cases import (
    CLOCK_NOT_MOVED,
    CREDENTIALS,
    HONOURS,
    LIFETIME,
    UNLIMITED,
    how_late,
)
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.arrangements import while_one_is_in_flight
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung
from mockbroker_contract.harness.explaining import shortening
from mockbroker_contract.harness.leeway import (
    leeway_at_once,
)
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_OUTAGES: dict[str, Fault] = {
    "answers 503": Fault.status(503),
    "resets connections": Fault.reset(),
}
_REFUSALS: dict[str, Fault] = {
    "answers 403": Fault.status(403),
    "answers 429": Fault.status(429),
}
"""Failures that no other clause covers and that also leave a client without a token."""
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
    session.broker.script(fault.times(UNLIMITED))
    session.record(fault_step(fault))


def _session_before_expiry(scenario: Scenario) -> ClientSession:
    """Return a session whose tokens can expire, for cases with an outage after that."""
    lifetime = LIFETIME if scenario.run.time.is_virtual else 1
    return scenario.session(
        credentials=CREDENTIALS,
        expires_in=lifetime,
        elsewhere=[HONOURS],
        deadline=scenario.run.settings.patient_deadline,
    )


def _let_it_expire(session: ClientSession, operation: str, lifetimes: float = 2) -> None:
    """Fetch a token, and let that multiple of its lifetime pass; in real time, 1.5 s."""
    session.use_well(operation)
    session.advance(lifetimes * session.broker.expires_in if session.can_pass(LIFETIME) else 1.5)


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
            credentials=CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[HONOURS],
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
                    blocked_by=scenario.cause_among(clauses.refresh.AHEAD, HONOURS),
                )
            return Situation.MET

    with shortening(lambda operation: _outage_at_one_age(scenario, *tried[-1], operation)):
        scenario.for_each_in_time(_OUTAGES, run_case)


def _outage_at_one_age(scenario: Scenario, what: str, age: float, operation: str) -> None:
    """Raise the breach at that age of the token, without the uses before."""
    if not scenario.run.time.is_virtual:
        return
    with scenario.session(credentials=CREDENTIALS, expires_in=LIFETIME) as session:
        first = session.use_well(operation)
        session.advance(age)
        _outage(session, what)
        _must_use_valid_token(session, session.use(operation), first)


def _lifetime_and_pauses(scenario: Scenario) -> tuple[float, list[float]]:
    """Return a lifetime, and the pauses between uses of the client during it, in seconds."""
    if scenario.run.time.is_virtual:
        ages = [LIFETIME - left for left in _AGES_LEFT]
        return LIFETIME, [age - before for before, age in zip([0, *ages], ages)]  # noqa: B905
    leeway = leeway_at_once(scenario.run)
    if leeway is None:
        raise NotTested(f"{CLOCK_NOT_MOVED}, and it does not work with short lifetimes")
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
    very moment. The control for each is the same lifetime without an outage. Then several uses wait
    for a refresh that fails.
    """
    time = scenario.run.time
    # Twice the lifetime, so that no leeway or rounding can make the token count as valid.
    cases = [partial(_case_of_expired_token, scenario, what, 2.0) for what in _OUTAGES]
    if time.is_virtual:
        cases += [partial(_case_of_expired_token, scenario, what, 2.0) for what in _REFUSALS]
        cases += [partial(_case_of_long_outage, scenario, what) for what in _OUTAGES]
    else:
        cases += [partial(_case_of_outage_in_real_time, scenario, what) for what in _OUTAGES]
    if time.moves_during_use:
        # Exactly at the expiry: a client that compares with <= still uses the token then.
        cases += [partial(_case_of_expired_token, scenario, what, 1.0) for what in _OUTAGES]
    scenario.for_each_in_time(cases, lambda case, operation: case(operation))
    if time.is_virtual and scenario.run.clients.arranges_uses:
        scenario.for_each(
            [None],
            lambda _, operation: _case_of_waiting_uses(scenario, operation),
            operations=scenario.run.capabilities[:1],
        )


def _case_of_waiting_uses(scenario: Scenario, operation: str) -> Situation:
    """Judge uses that wait for a refresh which fails: they must not go on with the old token.

    `cache.thread-safe` judges a client that does so without a failure, or whose uses do not end.
    """
    with contextlib.suppress(ClientHung):
        outcomes = _waiting_uses(scenario, operation, Fault())
        if any(outcome.is_after_expiry for outcome in outcomes):
            return Situation.MET
        _waiting_uses(scenario, operation, _OUTAGES["answers 503"], must_not_be_late=True)
    return Situation.MET


def _waiting_uses(
    scenario: Scenario, operation: str, fault: Fault, *, must_not_be_late: bool = False
) -> list[Outcome]:
    """Return the outcomes of uses that wait for a refresh which ends with that fault."""
    with _session_before_expiry(scenario) as session:
        _let_it_expire(session, operation)
        if must_not_be_late:
            session.record(fault_step(fault, times=1))
        outcomes = while_one_is_in_flight(session, operation, AT_ONCE, fault)
        for outcome in outcomes if must_not_be_late else []:
            if outcome.is_after_expiry:
                session.breach(
                    f"a refresh failed, and one of {AT_ONCE} uses used a token "
                    f"{how_late(session, outcome)}",
                    "an error, or a valid token, for those that waited for the refresh as well",
                    outcome.exchanges,
                )
        return outcomes


def _case_of_expired_token(
    scenario: Scenario, what: str, lifetimes: float, operation: str
) -> Situation:
    """Begin an outage when the age of the token is that multiple of its lifetime."""
    with _session_before_expiry(scenario) as session:
        _let_it_expire(session, operation, lifetimes)
        _outage(session, what)
        outcome = session.use(operation)
        if not outcome.token_requests:
            raise NotTested("the client requested no new token", blocked_by=HONOURS)
        if outcome.is_after_expiry:
            late = how_late(session, outcome)
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


def _breach_of_expired(session: ClientSession, outcome: Outcome, what: str) -> None:
    """Raise the breach of the clause: the client used an expired token in the outage."""
    session.breach(
        f"the token endpoint {what}, and the client used a token {how_late(session, outcome)}",
        "an error: there was no valid token",
        outcome.exchanges,
    )


def _case_of_long_outage(scenario: Scenario, what: str, operation: str) -> Situation:
    """Begin an outage while a token is valid, and continue it after the token has expired."""
    with _session_before_expiry(scenario) as session:
        session.use_well(operation)
        session.advance(LIFETIME - _SECONDS_LEFT)
        _outage(session, what)
        before = session.use(operation)
        session.advance(_SECONDS_LEFT + _SECONDS_LATE)
        outcome = session.use(operation)
        if outcome.is_after_expiry:
            # The control: a client that uses expired tokens in any case breaks another clause.
            scenario.needs_expiry_control(operation, LIFETIME, after=_SECONDS_LATE)
            _breach_of_expired(session, outcome, what)
        # A client that sent no token request in either use has not met the outage.
        return Situation.met_if(before.token_requests or outcome.token_requests)


def _case_of_outage_in_real_time(scenario: Scenario, what: str, operation: str) -> Situation:
    """Do as `_case_of_long_outage` does, for a client that renews its token by a timer.

    A failed renewal may end the thread or the timer that was to try again.
    """
    lifetime, used_at, late = 3.0, 1.2, 0.5
    with scenario.session(
        credentials=CREDENTIALS,
        expires_in=lifetime,
        elsewhere=[HONOURS],
        deadline=scenario.run.settings.patient_deadline,
    ) as session:
        session.use_well(operation)
        _outage(session, what)
        session.advance(used_at)
        session.use(operation)
        session.advance(lifetime - used_at + late)
        outcome = session.use(operation)
        if outcome.is_after_expiry:
            scenario.needs_expiry_control(operation, lifetime, after=late)
            _breach_of_expired(session, outcome, what)
        # The first token request came before the outage.
        return Situation.met_if(session.trace.token_requests[1:])


@pytest.mark.contract_clause(clauses.refresh.RECOVERS)
def test_recovers(scenario: Scenario) -> None:
    """Check that the client succeeds within a minute after an outage; the time is reported.

    The client is used several times in the outage, so that a circuit breaker opens or a counter of
    failures is full.
    """

    def run_case(what: str, operation: str) -> Situation:
        recovery = _recovery_from(scenario, what, operation)
        if recovery.seconds is None or recovery.seconds > _RECOVERY_SECONDS:
            if not scenario.run.time.is_virtual:
                raise NotTested(
                    f"{CLOCK_NOT_MOVED}, and a minute is too long to wait: the client failed at "
                    "its first use after the outage"
                )
            recovery.session.breach_of(
                scenario.clause,
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
            # The session may be that of the other clause, which judged the same case first.
            recovery.session.breach_of(
                scenario.clause,
                f"at the first use after the outage the client {recovery.result}",
                "a new token",
                recovery.exchanges,
            )
        return Situation.MET

    scenario.for_each_in_time(_OUTAGES, run_case)


# Pauses before each use after an outage; a circuit breaker opens for seconds to a minute.
_PAUSES_AFTER_OUTAGE = (0, 1, 4, 10, 15, 30)
_RECOVERY_SECONDS = sum(_PAUSES_AFTER_OUTAGE)
_NOTICEABLE_SECONDS = 2.0
"""A wait within a successful use that counts: more than a client that limits its rate waits."""


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
            # A client that renews by a timer may have stopped at the first failure.
            cause = scenario.cause_among(HONOURS, clauses.refresh.OUTAGE_AFTER_EXPIRY)
            raise NotTested("the client requested no new token", blocked_by=cause)
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
            began = session.now()
            outcome = session.use(operation)
            if outcome.is_after_expiry:
                scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            waited = session.now() - began
            if outcome.is_good and is_virtual and waited >= _NOTICEABLE_SECONDS:
                # A client that waits longer after each failure goes on waiting after the outage.
                result = result or f"waited {waited:g} s within the call"
                return _Recovery(session, passed + waited, result, exchanges or outcome.exchanges)
            if outcome.is_good:
                return _Recovery(session, passed, result, exchanges)
            error = outcome.error
            result = result or (f"raised {session.masked(error)}" if error else outcome.in_words)
            exchanges = exchanges or outcome.exchanges
        return _Recovery(session, None, result, exchanges)
