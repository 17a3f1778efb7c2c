"""Chapter ``response``: expires_in, its unit, other forms of it, and an answer without it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from mockbroker.broker.answers import TokenAnswer
from mockbroker.contract import clauses
from mockbroker.report.steps import AnswerChanged
from mockbroker_contract.clauses.response_cases import (
    CREDENTIALS,
    must_use_the_token,
)
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.explaining import diagnosing
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation


@dataclass(frozen=True)
class _Lifetimes:
    """Lifetimes and a moment that show in which unit a client reads them, all in seconds.

    As milliseconds ``long`` is below ``early``, which is less than a hundredth of it. ``longer`` is
    above it in either unit.
    """

    long: int
    longer: int
    early: float


# Above any usual leeway even as milliseconds, so that the token is kept at first. The long lifetime
# in milliseconds fits in 31 bits, because `cache.reuse` judges overflows.
_VIRTUAL_LIFETIMES = _Lifetimes(long=2_000_000, longer=20_000_000, early=3000)
# In real time only a client with less leeway can be judged.
_REAL_LIFETIMES = _Lifetimes(long=2000, longer=20_000, early=2.5)
# As minutes or more the middle lifetime is above the late wait, and the brief one is below it up to
# thousands of seconds.
_MIDDLE_LIFETIME, _BRIEF_LIFETIME, _LATE_WAIT = 120, 1, 4800


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_UNIT)
def test_expires_in_unit(scenario: Scenario) -> None:
    """Check that the client does not read ``expires_in`` in another unit than seconds.

    A token that is dropped too early or used too long counts only if another lifetime makes a
    difference at the same moment. A client that ignores lifetimes breaks other clauses. In real
    time only a token that is dropped too early shows.
    """

    def run_case(case: Callable[[Scenario, str], None], operation: str) -> Situation:
        case(scenario, operation)
        return Situation.MET

    cases = [_must_not_drop_early, _must_not_use_for_lives]
    with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
        scenario.for_each_in_time(cases if scenario.run.time.is_virtual else cases[:1], run_case)


def _lifetime_session(scenario: Scenario, lifetime: float) -> ClientSession:
    """Return a session with tokens of that lifetime, in seconds."""
    return scenario.session(
        credentials=CREDENTIALS,
        expires_in=lifetime,
        elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
    )


def _must_not_drop_early(scenario: Scenario, operation: str) -> None:
    """Judge a token of the long lifetime after less than a hundredth of it."""
    lifetimes = _VIRTUAL_LIFETIMES if scenario.run.time.is_virtual else _REAL_LIFETIMES
    with _lifetime_session(scenario, lifetimes.long) as session:
        if _is_kept_after(session, operation, lifetimes.early):
            return
        # The control: a client may limit the life of every token.
        with _lifetime_session(scenario, lifetimes.longer) as control:
            if not _is_kept_after(control, operation, lifetimes.early):
                raise NotTested(
                    f"the client keeps no token for {lifetimes.early:g} s",
                    blocked_by=clauses.refresh.NOT_TOO_EAGER,
                )
        session.breach(
            f"with expires_in={lifetimes.long}, the client replaced the token after "
            f"{lifetimes.early:g} s; with expires_in={lifetimes.longer} it did not",
            "expires_in to be read as seconds",
        )


def _is_kept_after(session: ClientSession, operation: str, seconds: float) -> bool:
    """Return whether a token is still used that many seconds after it was issued.

    Raises NotTested if the client keeps no token at all.
    """
    first = session.use_well(operation)
    if session.use_well(operation).token != first.token:
        raise NotTested("the client keeps no token", blocked_by=clauses.cache.REUSE)
    session.advance(seconds)
    return not session.use_replaces(first.token, operation)


def _must_not_use_for_lives(scenario: Scenario, operation: str) -> None:
    """Judge a token of the middle lifetime long after its expiry."""
    with _lifetime_session(scenario, _MIDDLE_LIFETIME) as session:
        if not _is_used_after(session, operation, _LATE_WAIT):
            return
        # The control: a client that keeps every token that long ignores lifetimes.
        with _lifetime_session(scenario, _BRIEF_LIFETIME) as control:
            if _is_used_after(control, operation, _LATE_WAIT):
                raise NotTested(
                    "the client does not observe lifetimes",
                    blocked_by=clauses.refresh.HONOURS_EXPIRES_IN,
                )
        session.breach(
            f"with expires_in={_MIDDLE_LIFETIME}, the client still used the token after "
            f"{_LATE_WAIT} s; with expires_in={_BRIEF_LIFETIME} it did not",
            "expires_in to be read as seconds",
        )


def _is_used_after(session: ClientSession, operation: str, seconds: float) -> bool:
    """Return whether a token is still presented that many seconds after it was issued."""
    first = session.use_well(operation)
    session.advance(seconds)
    outcome = session.use(operation)
    # A client may present the old token and then, after a 401, a new one.
    presented = {call.token for call in outcome.api_calls} | {outcome.token}
    return first.token in presented


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_MISSING)
def test_expires_in_missing(scenario: Scenario) -> None:
    """Check that the client accepts a token response without ``expires_in``.

    Also after a token with a lifetime, which a client may carry over to the next one.
    """

    def run_case(comes_later: bool, operation: str) -> Situation:  # noqa: FBT001 - one of the cases
        with scenario.session(
            credentials=CREDENTIALS, elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN]
        ) as session:
            # A client may keep the lifetime of the token before, which has expired.
            if comes_later:
                session.use_well(operation)
                session.advance(3600)
            session.broker.token_answer = TokenAnswer(omit=("expires_in",))
            session.record(AnswerChanged(omitted=("expires_in",)))
            # A client may need the lifetime only at its second use, when it looks at the cached
            # token.
            for number in range(2):
                outcome = session.use(operation)
                if number == 0 and not outcome.token_requests:
                    raise NotTested("the client did not request the token without expires_in")
                must_use_the_token(session, outcome, "no expires_in")
            _must_not_renew_without_end(session)
            return Situation.MET

    scenario.for_each([False, True] if scenario.run.time.is_virtual else [False], run_case)


# A timer that is due at once sends hundreds of requests in that time, in seconds of real time.
_FLOOD, _WATCHED_SECONDS = 10, 0.25


def _must_not_renew_without_end(session: ClientSession) -> None:
    """Raise the breach of the clause if token requests follow in the background, after the uses.

    A timer for the next renewal is due at once if the missing lifetime counts as 0.
    """
    arrived = threading.Semaphore(0)
    known = len(session.trace.token_requests)
    end = session.broker.journal.subscribe(lambda _: arrived.release())
    try:
        is_flood = all(arrived.acquire(timeout=_WATCHED_SECONDS) for _ in range(_FLOOD))
    finally:
        end()
    if is_flood:
        session.breach(
            "with no expires_in, the client requested tokens in the background without end",
            "a default lifetime, or one token until the API refuses it",
            session.trace.token_requests[known : known + _FLOOD],
        )


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_FORMS)
def test_expires_in_forms(scenario: Scenario) -> None:
    """Check that the client reads ``"3599"`` and ``3599.0``, or raises an error that names them.

    A client passes if it raises an error that names the member, without calling it missing. If it
    accepts the form, it must also observe the lifetime.
    """

    def run_case(case: tuple[object, int], operation: str) -> Situation:
        expires_in, lifetime = case
        answer = TokenAnswer(members={"expires_in": expires_in})
        with scenario.session(
            credentials=CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
        ) as session:
            session.broker.token_answer = answer
            form = f"expires_in={json.dumps(expires_in)}"
            session.record(AnswerChanged(members={"expires_in": expires_in}))
            _reads_or_reports(session, operation, lifetime, form)
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each([("3599", 3599), (3599.0, 3599), ("60", 60)], run_case)


def _reads_or_reports(session: ClientSession, operation: str, lifetime: int, form: str) -> None:
    outcome = session.use(operation)
    if outcome.error is not None:
        said = str(outcome.error).lower()
        # Refusing is allowed if the message helps: "missing" would be wrong, as the member is
        # there.
        if "expires" not in said or "missing" in said:
            session.breach(
                f"with {form}, the client raised {session.masked(outcome.error)}",
                "a token, or an error that says that expires_in has the wrong type",
            )
        return
    must_use_the_token(session, outcome, form)
    # Only where the clock moves, and only if the client observes the same lifetime as a number.
    if session.can_pass(lifetime + 1) and _is_replaced_in_time(
        session.control(), operation, lifetime
    ):
        session.advance(lifetime + 1)
        if session.use(operation).token == outcome.token:
            session.breach(
                f"with {form}, the token was still used {lifetime + 1} s after it was issued",
                "the lifetime to be read, or an error that names expires_in",
            )


def _is_replaced_in_time(control: ClientSession, operation: str, lifetime: int) -> bool:
    """Return whether the client observes that lifetime as a number: the control."""
    with control as session:
        first = session.use_well(operation)
        session.advance(lifetime + 1)
        return session.use(operation).token != first.token
