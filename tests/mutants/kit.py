"""Playing every scenario before one client, and the verdicts that come of it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import Any

import pytest

from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CHAPTERS, clause_named
from mockbroker.contract.clause import Clause
from mockbroker.contract.diagnosis import Diagnosis
from mockbroker.model.client import ClientFactory
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.finding import Verdict
from mockbroker_contract import clauses as contract_tests
from mockbroker_contract.drivers.failures import ClientCrashed, NotApplicable, NotTested
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.run import ContractRun
from mockbroker_contract.harness.scenario import Scenario, scenario_of
from mockbroker_contract.harness.settings import RunSettings

LITTLE_PATIENCE_SECONDS = 3.0


def scenarios(
    profile: Profile = AUTOGRAB,
) -> Iterator[tuple[Clause, Callable[[Scenario], None]]]:
    """Every contract test whose clause applies to the profile, and its clause."""
    for module in _modules():
        for name, test in vars(module).items():
            if name.startswith("test_"):
                clause = test.pytestmark[0].args[0]
                if not clause.applies_to(profile):
                    yield clause, test


def _modules() -> Iterator[ModuleType]:
    """The modules of contract tests by chapter; several, if a chapter has many clauses."""
    names = sorted(module.name for module in pkgutil.iter_modules(contract_tests.__path__))
    for chapter in CHAPTERS:
        for name in names:
            if name == f"test_{chapter}" or name.startswith(f"test_{chapter}_"):
                yield importlib.import_module(f"{contract_tests.__name__}.{name}")


OF_OTHER_CLIENTS = frozenset(
    {clauses.cache.CANCELLATION, clauses.cache.EVENT_LOOPS, clauses.cache.FORK}
)
"""Clauses that apply to asynchronous clients only, or to synchronous ones only."""


def verdicts_on(
    source: ClientFactory | str,
    *,
    only: Collection[Clause] = (),
    with_other_clients: bool = False,
    **settings: Any,
) -> dict[Clause, tuple[Verdict, str]]:
    """The clauses that the client does not pass, with the verdict on each and its reason.

    ``only`` names the clauses to judge; all of them if it is empty. Clauses that apply to other
    clients are left out, unless ``with_other_clients``.
    """
    unknown = [clause for clause in only if not isinstance(clause, Clause)]
    assert not unknown, f"name clauses by objects: {unknown} would select nothing"
    # The examples are the default ones: the worth of a run is that of the run that users make.
    little = {"patience": LITTLE_PATIENCE_SECONDS, "shrinks": 0}
    chosen = RunSettings(**{**little, **settings})
    with checked_run(PythonClients(source), chosen) as run, run.frozen_time():
        found = {
            clause: _verdict(test, run, clause)
            for clause, test in scenarios(chosen.profile)
            if not only or clause in only
        }
        for finding in run.findings.take():
            clause = clause_named(finding.clause_id)
            if clause in found and found[clause][0] is Verdict.PASSED:
                found[clause] = (finding.verdict, finding.reason)
    left_out = frozenset() if with_other_clients else OF_OTHER_CLIENTS
    return {
        clause: verdict
        for clause, verdict in found.items()
        if verdict[0] is not Verdict.PASSED
        and not (verdict[0] is Verdict.NOT_APPLICABLE and clause in left_out)
    }


def diagnosis_on(source: ClientFactory | str, clause: Clause) -> Diagnosis | None:
    """The likely mistake that the kit names for the client's breach of the clause."""
    settings = RunSettings(patience=LITTLE_PATIENCE_SECONDS, shrinks=0)
    with checked_run(PythonClients(source), settings) as run, run.frozen_time():
        test = dict(scenarios())[clause]
        with pytest.raises(ContractBreached) as caught:
            test(scenario_of(run, clause))
    assert caught.value.clause_id == clause.id
    return caught.value.diagnosis


def _verdict(
    test: Callable[[Scenario], None], run: ContractRun, clause: Clause
) -> tuple[Verdict, str]:
    try:
        test(scenario_of(run, clause))
    except ContractBreached as breach:
        # The plugin takes a breach of another clause for a failure of the kit.
        if breach.clause_id != clause.id:
            raise AssertionError(f"the test of {clause.id} raised: {breach}") from breach
        return run.findings.verdict_on_breach(clause.id), str(breach)
    except NotTested as obstacle:
        return Verdict.NOT_TESTED, str(obstacle)
    except NotApplicable as lack:
        return Verdict.NOT_APPLICABLE, str(lack)
    except ClientHung as hang:
        return Verdict.HANG, str(hang)
    except ClientCrashed as crash:
        return Verdict.CRASH, str(crash)
    return Verdict.PASSED, ""
