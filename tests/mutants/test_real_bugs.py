"""Every publicly reported bug is caught by a mutant's clause, or nobody can see it from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mockbroker.contract.catalogue import clause_named
from tests.mutants.defects import MUTANTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUGS = tomllib.loads(Path(__file__).with_name("real_bugs.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("bug", BUGS)
def test_bug_has_a_mutant_that_breaks_its_clause_or_a_reason(bug):
    entry = BUGS[bug]
    assert entry["report"].startswith("https://")
    if "unseen" in entry:
        assert len(entry["unseen"].split()) > 5
    else:
        assert clause_named(entry["clause"]) in MUTANTS[entry["mutant"]].broken


def test_the_bugs_that_cannot_be_seen_are_few():
    assert sum("unseen" in entry for entry in BUGS.values()) < len(BUGS) / 6
