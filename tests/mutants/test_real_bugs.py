"""Every publicly reported bug is caught by a mutant's clause, or nobody can see it from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mockbroker.contract.catalogue import clause_named
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def table(name):
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


BUGS = table("real_bugs.toml")
DESIGNS = table("reported_designs.toml")


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


@pytest.mark.parametrize("design", DESIGNS)
def test_a_reported_design_has_a_mutant_that_breaks_its_clause_or_is_sound(design):
    entry = DESIGNS[design]
    if "sound" in entry:
        assert entry["sound"] in SOUND
    else:
        assert clause_named(entry["clause"]) in MUTANTS[entry["mutant"]].broken
