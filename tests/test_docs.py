"""Pages that are generated are as their generator has them today."""

from __future__ import annotations

from pathlib import Path

from docs.make_kill_matrix import page
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

DOCS = Path(__file__).parents[1] / "docs"


def test_the_kill_matrix_is_up_to_date():
    assert (DOCS / "kill-matrix.md").read_text(encoding="utf-8") == page()


def test_there_is_proof_enough():
    assert len(MUTANTS) >= 90
    assert len(SOUND) >= 12
