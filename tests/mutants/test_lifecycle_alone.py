"""Random sequences find defects without the scenario of the clause, and name the clause."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.scenario import scenario_of
from mockbroker_contract.harness.settings import RunSettings
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import LITTLE_PATIENCE_SECONDS, scenarios
from tests.mutants.workshop import make

pytestmark = pytest.mark.slow

LIFECYCLE = clauses.lifecycle.LIFECYCLE


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("NeverRefreshes", clauses.refresh.HONOURS_EXPIRES_IN),
        ("RaisesForShortLifetimes", clauses.refresh.SHORT_LIVED),
        pytest.param("OverlooksA401", clauses.errors.INVALID_CLIENT, marks=pytest.mark.covers),
    ],
)
def test_random_sequences_name_the_clause_that_is_broken(name, clause):
    mutant = MUTANTS[name]
    settings = RunSettings(patience=LITTLE_PATIENCE_SECONDS)
    clients = PythonClients(lambda config: make(mutant.cls, config))
    with checked_run(clients, settings) as run, run.frozen_time():
        dict(scenarios())[LIFECYCLE](scenario_of(run, LIFECYCLE))
        found = {finding.clause_id for finding in run.findings.take()}
    assert clause.id in found
