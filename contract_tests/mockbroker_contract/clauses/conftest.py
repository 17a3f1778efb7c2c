"""Fixture that gives each clause test its scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockbroker_contract.harness.run import ContractRun
from mockbroker_contract.harness.scenario import Scenario, scenario_of


@pytest.fixture(scope="module", autouse=True)
def _frozen_time(contract: ContractRun) -> Iterator[None]:
    """Apply the run's time to the client while a chapter is judged.

    Module scope, because a switch of the clock is a request to the client's process.
    """
    with contract.frozen_time():
        yield


@pytest.fixture
def scenario(request: pytest.FixtureRequest, contract: ContractRun) -> Scenario:
    """Return the scenario of the clause that the test is marked with."""
    marker = request.node.get_closest_marker("contract_clause")
    assert marker is not None, "a contract test is marked contract_clause(clause)"
    return scenario_of(contract, marker.args[0])
