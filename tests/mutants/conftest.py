"""Mutants that keep tokens for everybody keep none from one test to the next."""

from __future__ import annotations

import pytest

from tests.mutants.defects import MUTANTS


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Time begins anew with each run, so that a token of an earlier one would look valid."""
    for mutant in MUTANTS.values():
        kept = vars(mutant.cls).get("shared")
        if isinstance(kept, dict):
            kept.clear()
