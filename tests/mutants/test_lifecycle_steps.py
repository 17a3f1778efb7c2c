"""One sequence of steps for each clause that the state machine can name by its model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mockbroker.contract import clauses
from mockbroker.report.plain_examples import ExampleError
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.settings import RunSettings
from mockbroker_contract.harness.state_machine import replay_steps, steps_from, without_idle_steps
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import LITTLE_PATIENCE_SECONDS
from tests.mutants.workshop import make

# The second operation of a client that offers both is a call of the API.
_NOT_USED, _CALL = 0, 1
_DOWN, _BROKEN, _WELL = "answers 503", "resets connections", ""

SEQUENCES = {
    "NeverTriesAgain": (
        clauses.signing.REVOKED,
        [("begin", 3600), ("use", 0, _CALL), ("revoke", 0, _CALL)],
    ),
    "MakesDoWithAnExpiredToken": (
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        [
            ("begin", 60),
            ("use", 0, _CALL),
            ("change_health", _DOWN, 0, _NOT_USED),
            ("pass_time", 61, 0, _CALL),
        ],
    ),
    "RestsBeyondTheExpiry": (
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        [
            ("begin", 60),
            ("use", 0, _CALL),
            ("change_health", _BROKEN, 0, _NOT_USED),
            ("pass_time", 50, 0, _CALL),
            ("change_health", _WELL, 0, _NOT_USED),
            ("pass_time", 11, 0, _CALL),
        ],
    ),
    "HasLessLeewayThanItTakes": (
        clauses.refresh.LATENCY,
        [
            ("begin", 60),
            ("be_slow", 10, 0, _CALL),
            ("pass_time", 52, 0, _CALL),
        ],
    ),
    "NeverRefreshes": (
        clauses.refresh.HONOURS_EXPIRES_IN,
        [("begin", 60), ("use", 0, _CALL), ("add_client",), ("pass_time", 61, 0, _CALL)],
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_clause_that_is_broken_is_named_with_the_steps_that_are_needed(name):
    clause, steps = SEQUENCES[name]
    clients = PythonClients(lambda config: make(MUTANTS[name].cls, config))
    with (
        checked_run(clients, RunSettings(patience=LITTLE_PATIENCE_SECONDS)) as run,
        run.frozen_time(),
    ):
        with pytest.raises(ContractBreached) as caught:
            replay_steps(run, tuple(steps))
        breached = without_idle_steps(run, caught.value, ())
    assert breached.clause_id == clause.id
    assert ("add_client",) not in breached.drawn
    assert set(breached.drawn) <= set(steps)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([["begin", "3600"]], "'begin' takes other values"),
        ([["begin", 60], ["pass_time", 5, 0, 0]], "the client's clock cannot be moved"),
        ([["begin", 60], ["be_slow", 5, 0, 0]], "cannot be moved while the client is used"),
    ],
)
def test_steps_that_cannot_happen_in_a_run_are_an_error(plain, message):
    real = SimpleNamespace(time=SimpleNamespace(is_virtual=False, moves_during_use=False))
    with pytest.raises(ExampleError, match=message):
        steps_from(plain, real)  # type: ignore[arg-type]
