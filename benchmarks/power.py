"""How many mutants a check kills within a time: with the default settings, and by random examples.

Random examples alone means: no chosen boundary value is tried, and each clause that has a strategy
gets a hundred random examples, Hypothesis's default. Clauses whose cases are a list have no random
examples, and keep the list.

Only the clauses that show a mutant's defect are judged, so that the order of the catalogue does not
matter. The mutant counts as killed when one of them is broken; its check ends there. Clients by a
clock of their own are left out: a real second is a second for both settings.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from benchmarks.power_curve import Curve, drawn
from benchmarks.results import MeasureSettings, Result, Table
from evidence.files import DOCS, write_text
from mockbroker_contract.drivers.failures import NotApplicable, NotTested, ScenarioEnded
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.exploration import Explorer
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.scenario import scenario_of
from mockbroker_contract.harness.settings import RunSettings
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import scenarios
from tests.mutants.workshop import Mutant, OwnClock, make

__all__ = ["PICTURE", "measure", "text_of"]

PICTURE = DOCS / "power.svg"
RANDOM_EXAMPLES = 100
PATIENCE_SECONDS = 3.0
MOMENTS = (0.5, 1, 2, 5, 10, 20)
_SEED = 0
_NEVER = -1.0
"""Stands in the stored results for a mutant that was not killed."""


def measure(settings: MeasureSettings) -> tuple[Table, ...]:
    """Check the mutants in turn with both settings; return a row for each mutant."""
    rows = []
    for name in _sampled(settings.sample):
        default = _seconds_to_kill(MUTANTS[name])
        with _random_examples_alone():
            alone = _seconds_to_kill(MUTANTS[name], examples=RANDOM_EXAMPLES)
        rows.append((name, default, alone))
    return (Table(("mutant", "default settings", "random examples alone"), tuple(rows)),)


def _sampled(count: int) -> list[str]:
    """Return the names of so many mutants, always the same ones; all of them for 0."""
    names = [name for name, mutant in MUTANTS.items() if not issubclass(mutant.cls, OwnClock)]
    chosen = random.Random(_SEED).sample(names, count) if 0 < count < len(names) else names  # noqa: S311 - not a secret
    return sorted(chosen)


def _seconds_to_kill(mutant: Mutant, **changed: Any) -> float:
    """Return after how many seconds one of the mutant's clauses was broken, or `_NEVER`."""
    judged = mutant.broken | mutant.shown_by
    own = {clause.id for clause in mutant.broken}
    little = {"patience": PATIENCE_SECONDS, "shrinks": 0}
    chosen = RunSettings(**{**little, **mutant.settings, **changed})
    began = time.monotonic()
    clients = PythonClients(lambda config: make(mutant.cls, config))
    with checked_run(clients, chosen) as run, run.frozen_time():
        for clause, test in scenarios(chosen.profile):
            if clause not in judged:
                continue
            try:
                test(scenario_of(run, clause))
            except ContractBreached as breached:
                run.findings.broken.add(breached.clause_id)
            except (NotTested, NotApplicable):
                continue
            except ScenarioEnded:  # a hang or a crash, which counts against the clause
                run.findings.broken.add(clause.id)
            if run.findings.broken & own:
                return time.monotonic() - began
    return _NEVER


@contextmanager
def _random_examples_alone() -> Iterator[None]:
    """Leave out the chosen examples of every exploration while the block lasts."""
    try_all = Explorer.try_all

    def without_first(self: Explorer, *arguments: Any, **named: Any) -> None:
        try_all(self, *arguments, **{**named, "first": (), "is_wide": False})

    with mock.patch.object(Explorer, "try_all", without_first):
        yield


def text_of(result: Result) -> str:
    """Draw the picture of the stored result, and return the text that shows it."""
    (table,) = result.tables
    curves = [_curve(table, column) for column in (1, 2)]
    write_text(PICTURE, drawn(curves, len(table.rows)))
    columns = ("killed within", *(curve.name for curve in curves))
    rows = tuple(
        (f"{moment:g} s", *(_share(curve.kills_within(moment), table) for curve in curves))
        for moment in MOMENTS
    )
    total = ("all test cases", *(_share(len(curve.seconds), table) for curve in curves))
    picture = f"![Mutants killed against seconds spent]({PICTURE.name})"
    return f"{picture}\n\n{Table(columns, (*rows, total)).markdown}\n\n{_missed(table)}"


def _curve(table: Table, column: int) -> Curve:
    seconds = [row[column] for row in table.rows]
    killed = sorted(s for s in seconds if isinstance(s, float) and s >= 0)
    return Curve(table.columns[column], tuple(killed))


def _share(count: int, table: Table) -> str:
    return f"{count} of {len(table.rows)}"


def _missed(table: Table) -> str:
    """Return a sentence about the mutants that random examples alone do not kill."""
    missed: Sequence[str] = [str(row[0]) for row in table.rows if row[2] == _NEVER]
    if not missed:
        return "Random examples alone kill the same mutants, later."
    return f"Random examples alone miss: {', '.join(f'`{name}`' for name in missed)}."
