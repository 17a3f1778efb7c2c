"""Chapter ``request``: the form of a token request.

These clauses are passive: judged from the requests alone. One exploration serves all of them.
"""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker_contract.harness.scenario import Scenario


@pytest.mark.contract_clause(clauses.request.METHOD)
def test_method(scenario: Scenario) -> None:
    """Check that every token request is a POST."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.URL)
def test_url(scenario: Scenario) -> None:
    """Check that every token request goes to the configured token URL."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.CONTENT_TYPE)
def test_content_type(scenario: Scenario) -> None:
    """Check that every token request declares a form content type once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.GRANT_TYPE)
def test_grant_type(scenario: Scenario) -> None:
    """Check that every token request has the client credentials grant type once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.NO_EXTRA_PARAMETERS)
def test_no_extra_parameters(scenario: Scenario) -> None:
    """Check that a token request has no parameter that was not configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.ACCEPT)
def test_accept(scenario: Scenario) -> None:
    """Check that the Accept header of a token request allows JSON."""
    scenario.share(Scenario.judge_token_requests)
