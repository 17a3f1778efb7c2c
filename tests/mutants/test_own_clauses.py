"""Each mutant fails its own clauses: a quick look at the power of the kit in every test run.

That it fails no other clause is shown by the kill matrix, which takes minutes.
"""

from __future__ import annotations

import pytest

from mockbroker.report.finding import Verdict
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make

BREACHED = {Verdict.FAILED, Verdict.ADVICE, Verdict.HANG}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_fails_its_own_clauses(name):
    mutant = MUTANTS[name]
    clauses = mutant.broken | mutant.shown_by
    found = verdicts_on(lambda config: make(mutant.cls, config), only=clauses, **mutant.settings)
    breached = {clause for clause, (verdict, _) in found.items() if verdict in BREACHED}
    # Where it breaks several, one of them may be in the way of another.
    assert breached, found
    assert breached <= mutant.broken, found
