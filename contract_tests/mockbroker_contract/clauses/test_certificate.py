"""Chapter ``certificate``: how the client authenticates by a certificate in TLS."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker_contract.clauses.signing_cases import CREDENTIALS, called, revoke
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation


@pytest.mark.contract_clause(clauses.certificate.PRESENTED)
def test_presented(scenario: Scenario) -> None:
    """Check that each token request comes over a connection with the configured certificate.

    Passive, as all clauses of the chapter but one. Each case has another client_id and another
    certificate, which the same authority has issued.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.certificate.CLIENT_ID)
def test_client_id(scenario: Scenario) -> None:
    """Check that the body has the client_id, once, and that of the certificate."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.certificate.ONLY)
def test_only(scenario: Scenario) -> None:
    """Check that no other credentials are sent beside the certificate."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.certificate.API)
def test_api(scenario: Scenario) -> None:
    """Check that calls of the API come over connections with the certificate of their token.

    Also the call after a revocation, which a client may send over another connection.
    """
    scenario.run.needs(REQUEST)

    def run_case(path: str, _: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            called(session, path=path)
            if not session.has_broken_request:
                revoke(session)
                called(session, path=path)
            tokens = [call.token for call in session.trace.api_calls if call.token is not None]
            if not any(token.bound_to for token in tokens):
                raise NotTested("the client got no token that is bound to a certificate")
            return Situation.MET

    scenario.for_each(["/vehicle/1", "/vehicle/2?region=au"], run_case, operations=[REQUEST])
