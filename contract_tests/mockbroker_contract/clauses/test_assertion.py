"""Chapter ``assertion``: how the client authenticates by a signed assertion."""

from __future__ import annotations

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.endings import TooManyRequests
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_CREDENTIALS = Credentials("assertion-client", "s3cret-of-the-key")
_FAULTS = {
    "503": Fault.status(503),
    "401": Fault.status(401, body={"error": "invalid_client"}),
    "a reset": Fault.reset(),
}


@pytest.mark.contract_clause(clauses.assertion.SENT)
def test_sent(scenario: Scenario) -> None:
    """Check that the body has a signed assertion and its type, once each.

    Passive, as all clauses of the chapter but one. Each case has another client_id and ``kid``.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.ONLY)
def test_only(scenario: Scenario) -> None:
    """Check that no secret is sent beside the assertion, and the assertion not in the URL."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.SIGNATURE)
def test_signature(scenario: Scenario) -> None:
    """Check that the configured key signs each assertion, by an algorithm of the profile."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.KEY_ID)
def test_key_id(scenario: Scenario) -> None:
    """Check that ``kid`` is that of the configured key.

    The key and its id differ from case to case, as after a rotation.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.ISSUER)
def test_issuer(scenario: Scenario) -> None:
    """Check that ``iss`` and ``sub`` are the client_id."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.AUDIENCE)
def test_audience(scenario: Scenario) -> None:
    """Check that ``aud`` is the configured audience; each case has another one."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.LIFETIME)
def test_lifetime(scenario: Scenario) -> None:
    """Check that each assertion is valid when it arrives, and not for longer than allowed.

    The second token request of a case comes after the lifetime of the first token. An assertion
    that was made once has expired by then.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.CLOCK)
def test_clock(scenario: Scenario) -> None:
    """Check that each assertion lives long enough for a clock that is off by some seconds."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.assertion.JTI)
def test_jti(scenario: Scenario) -> None:
    """Check that no ``jti`` is sent twice, neither at a refresh nor after a failure.

    The token endpoint fails once: with 503, with 401, or by a reset. The client may repeat the
    request by itself. Otherwise its next use does.
    """
    scenario.share(Scenario.judge_token_requests)

    def run_case(fault: str, operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            session.broker.script(_FAULTS[fault])
            session.record(fault_step(_FAULTS[fault]))
            try:
                session.use(operation)
                if len(session.trace.token_requests) < 2:  # noqa: PLR2004 - one and its repetition
                    session.use(operation)
            except TooManyRequests as flood:
                session.note_flood(flood)
            if not session.trace.token_requests:
                raise NotTested("the client sent no token request")
            return Situation.met_if(len(session.trace.token_requests) > 1)

    scenario.for_each(_FAULTS, run_case)
