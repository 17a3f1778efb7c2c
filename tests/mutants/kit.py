"""Playing every scenario before one client, and the verdicts that come of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from mockbroker.contract.catalogue import CHAPTERS
from mockbroker.model.client import ClientFactory
from mockbroker.report.finding import Verdict
from mockbroker_contract.drivers.failures import ClientCrashed, NotApplicable, NotTested
from mockbroker_contract.drivers.python_driver import PythonClients
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from mockbroker_contract.harness.preflight import rehearsed_run
from mockbroker_contract.harness.run import ContractRun, RunSettings
from mockbroker_contract.harness.scenario import Scenario

FEW_EXAMPLES = 5
LITTLE_PATIENCE_SECONDS = 3.0


def scenarios() -> Iterator[tuple[str, Callable[[Scenario], None]]]:
    """Every contract test and the id of its clause."""
    for chapter in CHAPTERS:
        module = importlib.import_module(f"mockbroker_contract.clauses.test_{chapter}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                yield test.pytestmark[0].args[0], test


def verdicts_on(
    source: ClientFactory | str, *, only: Collection[str] = (), **settings: Any
) -> dict[str, tuple[Verdict, str]]:
    """The clauses that the client does not pass, with the verdict on each and its reason.

    ``only`` names the clauses to judge; all of them if it is empty.
    """
    little = {"examples": FEW_EXAMPLES, "patience": LITTLE_PATIENCE_SECONDS, "shrinks": 0}
    chosen = RunSettings(**{**little, **settings})
    with rehearsed_run(PythonClients(source), chosen) as run, run.frozen_time():
        found = {
            clause_id: _verdict(test, run, clause_id)
            for clause_id, test in scenarios()
            if not only or clause_id in only
        }
        for finding in run.take_findings():
            if finding.clause_id in found and found[finding.clause_id][0] is Verdict.PASSED:
                found[finding.clause_id] = (finding.verdict, finding.reason)
    return {name: verdict for name, verdict in found.items() if verdict[0] is not Verdict.PASSED}


def _verdict(
    test: Callable[[Scenario], None], run: ContractRun, clause_id: str
) -> tuple[Verdict, str]:
    try:
        test(Scenario(run, clause_id))
    except ContractBreached as breach:
        return run.verdict_on_breach(clause_id), str(breach)
    except NotTested as obstacle:
        return Verdict.NOT_TESTED, str(obstacle)
    except NotApplicable as lack:
        return Verdict.NOT_APPLICABLE, str(lack)
    except ClientHung as hang:
        return Verdict.HANG, str(hang)
    except ClientCrashed as crash:
        return Verdict.CRASH, str(crash)
    return Verdict.PASSED, ""
