"""Two defects in one client: both are found, or the second says by what it is blocked."""

from __future__ import annotations

import pytest

from mockbroker.report.finding import Verdict
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make

pytestmark = [pytest.mark.slow, pytest.mark.whole_proof]

PAIRS = [
    ("SaysJson", "QuotesTheCredentials"),
    ("AddsAQuery", "HasNoLeeway"),
    ("LosesThePadding", "IgnoresTheTokenType"),
    ("SharesWithEveryClient", "LogsTheToken"),
    ("NeverReuses", "SendsTheSecretInTheBodyToo"),
    ("AddsTheLeeway", "AsksTwiceWhenUnauthorized"),
    ("FailsAlthoughItsTokenIsGood", "TrustsEveryCertificate"),
    ("OverlooksA401", "FollowsA307WithCredentials"),
    ("KnowsOnlyOneLifetime", "RemembersARefusal"),
    ("TakesAnythingForAToken", "HasNoLock"),
    ("HasNoLeeway", "NeverTriesAgain"),
    ("SaysOnlyThatItFailed", "CarriesTheTokenAnywhere"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_neither_defect_hides_the_other(one, other):
    first, second = MUTANTS[one], MUTANTS[other]
    found = verdicts_on(lambda config: make(first.cls, config, second.cls))
    assert set(found) >= first.broken | second.broken, found
    for clause_id in set(found) - (first.broken | second.broken):
        verdict, reason = found[clause_id]
        assert verdict is Verdict.NOT_TESTED, (clause_id, reason)
        assert "blocked" in reason
