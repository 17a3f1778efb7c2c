"""Chapter ``request``: how a token is asked for."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker_contract.harness.scenario import Scenario


@pytest.mark.contract_clause(clauses.request.METHOD)
def test_method(scenario: Scenario) -> None:
    """Every token request is a POST."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.URL)
def test_url(scenario: Scenario) -> None:
    """Every token request goes to the token URL as it was configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.CONTENT_TYPE)
def test_content_type(scenario: Scenario) -> None:
    """Every token request declares a form, once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.GRANT_TYPE)
def test_grant_type(scenario: Scenario) -> None:
    """Every token request asks for the client credentials grant, once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.NO_EXTRA_PARAMETERS)
def test_no_extra_parameters(scenario: Scenario) -> None:
    """A token request carries the grant type and nothing that was not configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.ACCEPT)
def test_accept(scenario: Scenario) -> None:
    """A token request does not rule out the JSON that answers it."""
    scenario.share(Scenario.judge_token_requests)
