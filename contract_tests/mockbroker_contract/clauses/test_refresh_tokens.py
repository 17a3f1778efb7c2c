"""Chapter ``refresh``: brokers with other rules for tokens, and the grant of a refresh."""

from __future__ import annotations

from functools import partial

import pytest

from mockbroker.broker.answers import TokenAnswer
from mockbroker.contract import clauses
from mockbroker.contract.clauses.refresh import tokens_needed
from mockbroker.contract.profile_words import quota_in_words
from mockbroker.model.profile import Quota, TokenPolicy
from mockbroker.report.steps import (
    AnswerChanged,
    TokenPolicySet,
    TokensRevoked,
)
from mockbroker_contract.clauses.refresh_cases import CREDENTIALS, HONOURS, LIFETIME
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.arrangements import refreshed_meanwhile
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

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
            credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
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

    scenario.for_each_in_time([LIFETIME if is_virtual else 3], run_case)


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
        if error is not None and not outcome.token_requests:
            scenario.needs_expiry_control(outcome.operation, LIFETIME, after=1)
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
    lifetime = LIFETIME if scenario.run.time.is_virtual else 2
    with scenario.session(
        credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
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
        lifetime, pause = (LIFETIME, 2.0 * LIFETIME) if scenario.run.time.is_virtual else (2, 2.2)
        with scenario.session(
            credentials=CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[HONOURS],
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            session.broker.token_policy = "single"
            session.record(TokenPolicySet(policy="single"))
            first = session.use_well(operation)
            if session.use_well(operation).token != first.token:
                if scenario.run.time.is_virtual:
                    raise NotTested("the client keeps no token", blocked_by=clauses.cache.REUSE)
                # Its leeway may be longer than the lifetime, and it is right to refresh.
                raise NotTested(f"a client without a clock keeps no token of {lifetime} s")
            outcomes = refreshed_meanwhile(session, operation, in_flight + 1, pause)
            if not outcomes[0].token_requests:
                raise NotTested("the client requested no new token", blocked_by=HONOURS)
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
    with scenario.session(credentials=CREDENTIALS) as session:
        session.use_well(operation)
        session.broker.revoke_tokens()
        session.record(TokensRevoked())
        outcome = session.use(operation)
        if outcome.error is not None or outcome.status == _UNAUTHORIZED:
            raise NotTested(
                "the client repeats no call whose token was revoked",
                blocked_by=clauses.signing.REVOKED,
            )


@pytest.mark.contract_clause(clauses.refresh.REFUSED_WHILE_VALID)
def test_refused_while_valid(scenario: Scenario) -> None:
    """Check that a client works at a provider that refuses a token while one is valid.

    It is used within every usual leeway, where it may ask and is refused, and after the expiry. The
    control is a broker that refuses nothing.
    """

    def run_case(lifetime: int, operation: str) -> Situation:
        failed = _failure_near_expiry(scenario, lifetime, operation, "refuse")
        if failed is None:
            return Situation.MET
        if _failure_near_expiry(scenario, lifetime, operation, "new") is not None:
            raise NotTested("the client fails at a refresh that is not refused as well")
        raise failed

    scenario.for_each_in_time([LIFETIME if scenario.run.time.is_virtual else 3], run_case)


def _failure_near_expiry(
    scenario: Scenario, lifetime: int, operation: str, policy: TokenPolicy
) -> ContractBreached | None:
    """Use a client around its token's expiry; return the breach if one of the uses fails."""
    lefts = _LEFT_LATER if scenario.run.time.is_virtual else (2, 1)
    with scenario.session(
        credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
    ) as session:
        session.broker.token_policy = policy
        session.record(TokenPolicySet(policy=policy))
        session.use_well(operation)
        age = 0
        for left in (*lefts, -1):
            session.advance(lifetime - left - age)
            age = lifetime - left
            outcome = session.use(operation)
            try:
                _must_be_served(session, outcome, left)
            except ContractBreached as breached:
                return breached
    return None


def _must_be_served(session: ClientSession, outcome: Outcome, left: int) -> None:
    """Raise the breach of the clause for a use that failed, or asked more than once."""
    if len(outcome.token_requests) > 1:
        session.breach(
            f"one call led to {len(outcome.token_requests)} token requests",
            "at most one: asking again cannot change the answer",
            outcome.token_requests,
        )
    if outcome.is_good:
        return
    error = outcome.error
    result = f"raised {session.masked(error)}" if error else outcome.in_words
    when = f"{left} s before the expiry of its token" if left > 0 else "after its token had expired"
    expected = "a call with the token that is valid" if left > 0 else "a new token"
    session.breach(f"{when}, the client {result}", expected, outcome.exchanges)


@pytest.mark.contract_clause(clauses.refresh.QUOTA)
def test_quota(scenario: Scenario) -> None:
    """Check that a client stays within the provider's quota of token requests.

    It makes one call more than the quota allows token requests, spread over the quota's period.
    Tokens have the lifetime of the profile, by which a sound client needs fewer.
    """
    profile = scenario.run.settings.profile

    def run_case(quota: Quota, operation: str) -> Situation:
        # So many show that each call costs a token request, also where the quota is larger.
        calls = min(quota.requests, _MOST_CALLS)
        with scenario.session(
            credentials=CREDENTIALS, expires_in=max(profile.expires_in, 1)
        ) as session:
            session.use_well(operation)
            session.use_periodically(operation, calls, quota.period_seconds / (calls + 1))
            requested = len(session.trace.token_requests)
            if requested > calls:
                session.breach(
                    f"{calls + 1} calls in {quota.period_seconds:g} s led to {requested} token "
                    "requests",
                    f"few enough for a quota of {quota_in_words(quota)}",
                    session.trace.token_requests[:_SHOWN_REQUESTS],
                )
            return Situation.MET

    kept = [quota for quota in profile.quotas if tokens_needed(profile, quota) <= quota.requests]
    scenario.for_each(kept, run_case)


_MOST_CALLS = 60
_SHOWN_REQUESTS = 3


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
    lifetime = LIFETIME if scenario.run.time.is_virtual else 1
    with scenario.session(credentials=CREDENTIALS, expires_in=lifetime) as session:
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
            raise NotTested("the client requested no new token", blocked_by=HONOURS)
        return Situation.MET


def _survive_the_offer(scenario: Scenario, session: ClientSession, operation: str) -> None:
    """Use a client for the first time; the control of a failure is an answer as documented."""
    outcome = session.use(operation)
    if outcome.error is not None:
        with scenario.session(credentials=CREDENTIALS) as control:
            control.use_well(operation)
        session.breach(
            "the token response had a refresh_token, and the client raised "
            f"{session.masked(outcome.error)}",
            "the access token",
            outcome.exchanges,
        )
