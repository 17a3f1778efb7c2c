"""Chapter ``request``: how a token is asked for."""

from __future__ import annotations

import pytest

from mockbroker_contract.harness.scenario import Scenario


@pytest.mark.contract_clause("request.method")
def test_method(scenario: Scenario) -> None:
    """Every token request is a POST."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause("request.url")
def test_url(scenario: Scenario) -> None:
    """Every token request goes to the token URL as it was configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause("request.content-type")
def test_content_type(scenario: Scenario) -> None:
    """Every token request declares a form, once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause("request.grant-type")
def test_grant_type(scenario: Scenario) -> None:
    """Every token request asks for the client credentials grant, once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause("request.no-extra-parameters")
def test_no_extra_parameters(scenario: Scenario) -> None:
    """A token request carries the grant type and nothing that was not configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause("request.accept")
def test_accept(scenario: Scenario) -> None:
    """A token request does not rule out the JSON that answers it."""
    scenario.share(Scenario.judge_token_requests)
