"""Each mutant fails its own clauses: a quick look at the power of the kit in every test run.

That it fails no other clause is shown by the kill matrix, which takes minutes.
"""

from __future__ import annotations

import pytest

from mockbroker.report.finding import Verdict
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make, one_for_each_clause

REACHING_MORE = {
    "AsksAgainWhileTheLifetimeIsNegative",
    "BreaksTheLineWhereNoHeaderMay",
    "CopiesTheTokenType",
    "CountsTheFirstLifetimeForTheSameToken",
    "DropsItsTokenBeforeItHasTheNext",
    "DropsScopesThatAreUrls",
    "GivesOutTheOldTokenMeanwhile",
    "GivesUpWhenAnotherHasRefreshed",
    "HasLessLeewayThanItTakes",
    "LeavesItsTokenToTheNextSecret",
    "NeverReuses",
    "RepeatsACallWhoseBodyIsReadAlready",
    "RestsBeyondTheExpiry",
    "ReturnsNothingInAnOutage",
    "SaysNothingOfARedirect",
    "StoresAMonotonicTime",
    "TakesWhatIsInTheFile",
    "TakesZeroForNoExpiry",
    "TriesFiveTimes",
    "UnquotesThePath",
    "WantsNoRefreshToken",
    "WarnsWithTheSecret",
    "WritesIntoTheCallersHeaders",
    "WritesTheTokenIntoItsHome",
}
"""Mutants that reach parts of the kit which the mutants of no other clause reach."""
MEASURED = frozenset(one_for_each_clause(MUTANTS)) | REACHING_MORE
"""The mutants that the coverage run plays."""
BREACHED = {Verdict.FAILED, Verdict.ADVICE, Verdict.HANG}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in MEASURED else pytest.mark.unmeasured)
        for name in MUTANTS
    ],
)
def test_mutant_fails_its_own_clauses(name):
    mutant = MUTANTS[name]
    clauses = mutant.broken | mutant.shown_by
    found = verdicts_on(lambda config: make(mutant.cls, config), only=clauses, **mutant.settings)
    breached = {clause for clause, (verdict, _) in found.items() if verdict in BREACHED}
    # Where it breaks several, one of them may be in the way of another.
    assert breached, found
    assert breached <= mutant.broken, found
