"""Writes clause_stories.json: for each clause, how a client with a defect breaks it.

Run it with `python docs/tell_stories.py` from the root of a checkout; it takes some minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.clause_pages import STORIES
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from mockbroker.report.finding import Finding, Verdict
from mockbroker_contract.drivers.failures import ClientCrashed, ScenarioEnded
from mockbroker_contract.drivers.python_driver import PythonClients
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from mockbroker_contract.harness.preflight import rehearsed_run
from mockbroker_contract.harness.run import RunSettings
from mockbroker_contract.harness.scenario import scenario_of
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import scenarios
from tests.mutants.workshop import make

__all__ = ["main"]

_FEW = {"examples": 25, "patience": 3.0}
_BREACHES = (ContractBreached, ClientHung, ClientCrashed)


def telling_mutant(clause: Clause) -> str:
    """The mutant that breaks the fewest clauses beside this one; empty if none breaks it."""
    breaking = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
    return min(breaking, key=lambda name: len(MUTANTS[name].broken), default="")


def story_of(clause: Clause, name: str) -> dict[str, Any]:
    """Return how the mutant breaks the clause. Raises ValueError if it does not."""
    finding = _breach_of(clause, name)
    if finding is None:
        raise ValueError(f"{name} does not break {clause.id}")
    plain = msgspec.to_builtins(finding)
    return {"mutant": name, **{key: plain[key] for key in ("reason", "steps", "exchanges")}}


def _breach_of(clause: Clause, name: str) -> Finding | None:
    mutant = MUTANTS[name]
    settings = RunSettings(**{**_FEW, **mutant.settings})
    test = dict(scenarios(settings.profile))[clause]
    clients = PythonClients(lambda config: make(mutant.cls, config))
    with rehearsed_run(clients, settings) as run, run.frozen_time():
        try:
            test(scenario_of(run, clause))
        except _BREACHES as ended:
            return ended.finding_on(clause.id, Verdict.FAILED)
        except ScenarioEnded:
            pass
        found = {finding.clause_id: finding for finding in run.take_findings()}
    return found.get(clause.id)


def main() -> None:
    """Write how each clause is broken that a mutant breaks."""
    chosen = {clause: telling_mutant(clause) for clause in CATALOGUE}
    told = {clause.id: story_of(clause, name) for clause, name in chosen.items() if name}
    STORIES.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
