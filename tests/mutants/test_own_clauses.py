"""Each mutant fails its own clauses: a quick look at the power of the kit in every test run.

That it fails no other clause is shown by the kill matrix, which takes minutes.
"""

from __future__ import annotations

import pytest

from examples.model_client import make_client
from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make

BREACHED = {Verdict.FAILED, Verdict.ADVICE, Verdict.HANG}
PASSED_TO_THE_END = {
    clauses.cache.SINGLE_FLIGHT,
    clauses.cache.THREAD_SAFE,
    clauses.cleanup.BOUNDED,
    clauses.refresh.AHEAD,
    clauses.refresh.NOT_TOO_EAGER,
    clauses.refresh.OUTAGE_WHILE_VALID,
    clauses.refresh.RECOVERS,
    clauses.refresh.RECOVERS_AT_ONCE,
    clauses.refresh.SAME_TOKEN,
    clauses.refresh.SHORT_LIVED,
    clauses.refresh.SINGLE_LIVE_TOKEN,
    clauses.secrecy.FILES,
    clauses.signing.BODY_READ_ONCE,
    clauses.signing.CROSS_ORIGIN,
    clauses.signing.SAME_ORIGIN_REDIRECT,
}
"""Clauses whose tests have steps that a client reaches only if it passes."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_fails_its_own_clauses(name):
    mutant = MUTANTS[name]
    only = mutant.broken | mutant.shown_by
    found = verdicts_on(lambda config: make(mutant.cls, config), only=only, **mutant.settings)
    breached = {clause for clause, (verdict, _) in found.items() if verdict in BREACHED}
    # Where it breaks several, one of them may be in the way of another.
    assert breached, found
    assert breached <= mutant.broken, found


@pytest.mark.slow
@pytest.mark.covers
def test_the_model_client_passes_where_its_mutants_fail():
    assert verdicts_on(make_client, only=PASSED_TO_THE_END) == {}
