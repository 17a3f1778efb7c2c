"""The kit's worth: each mutant fails exactly its clauses, each sound client none."""

from __future__ import annotations

from typing import Any

import pytest

from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from tests.mutants.defects import MUTANTS
from tests.mutants.defects.response import WantsAScope
from tests.mutants.kit import scenarios, verdicts_on
from tests.mutants.sound import SOUND, canned_token_client, null_client
from tests.mutants.workshop import Mutant, OwnClock, make, one_for_each_clause

pytestmark = [
    pytest.mark.slow,
    # clients that hang are abandoned together with their sockets
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
BREACHED = (Verdict.FAILED, Verdict.ADVICE, Verdict.HANG)


FEW = ("model", "without_cache", "in_a_task", "with_a_future", "challenged_and_keeps_its_token")
"""The sound clients of the short proof."""


def _one_for_each_chapter() -> frozenset[str]:
    """The mutants of the short proof: of each chapter the one that breaks the most clauses."""
    chosen: dict[str, str] = {}
    # Clients by a clock of their own are judged in real time, which takes a minute.
    moved = [name for name, mutant in MUTANTS.items() if not issubclass(mutant.cls, OwnClock)]
    for name in sorted(moved, key=lambda each: len(MUTANTS[each].broken)):
        for clause in MUTANTS[name].broken:
            chosen[clause.chapter] = name
    return frozenset(chosen.values())


ONE_FOR_EACH_CHAPTER = _one_for_each_chapter()


@pytest.mark.whole_proof
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_fails_exactly_its_clauses(name):
    _fails_exactly_its_clauses(MUTANTS[name])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.short_proof if name in ONE_FOR_EACH_CHAPTER else ())
        for name in sorted({*one_for_each_clause(MUTANTS), *ONE_FOR_EACH_CHAPTER})
    ],
)
def test_mutant_fails_no_other_clause(name):
    """Check by few examples, which cost half; its own clauses are judged in the quick tests."""
    _fails_exactly_its_clauses(MUTANTS[name], examples=1)


def _fails_exactly_its_clauses(mutant: Mutant, **settings: Any) -> None:
    found = verdicts_on(lambda config: make(mutant.cls, config), **{**mutant.settings, **settings})
    assert set(found) == mutant.broken | mutant.blocked, found
    assert all(found[blocked][0] is Verdict.NOT_TESTED for blocked in mutant.blocked), found
    assert any(verdict in BREACHED for verdict, _ in found.values()), found


@pytest.mark.parametrize(
    "name",
    [
        # It waits in real time for half a minute, as another one of them does.
        pytest.param(name, marks=pytest.mark.whole_proof)
        if name == "by_the_clock_of_its_loop"
        else pytest.param(name, marks=pytest.mark.short_proof if name in FEW else ())
        for name in SOUND
    ],
)
def test_sound_client_is_spared(name):
    factory, expected = SOUND[name]
    found = verdicts_on(factory)
    assert set(found) == expected, found


@pytest.mark.covers
@pytest.mark.parametrize("factory", [null_client, canned_token_client])
def test_client_that_does_nothing_passes_nothing(factory):
    found = verdicts_on(factory)
    assert set(found) == {clause for clause, _ in scenarios()}


def test_client_that_refuses_the_documented_answer_fails_that_clause_alone():
    found = verdicts_on(lambda config: make(WantsAScope, config))
    breached = {clause for clause, (verdict, _) in found.items() if verdict in BREACHED}
    assert breached == {clauses.response.DOCUMENTED}
    assert set(found) == {clause for clause, _ in scenarios()}


def test_every_clause_exercised_has_its_mutant():
    killed = set().union(*(mutant.broken for mutant in MUTANTS.values()))
    assert {clause for clause, _ in scenarios()} - killed == {clauses.response.DOCUMENTED}
