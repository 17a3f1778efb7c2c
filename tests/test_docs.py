"""Pages that are generated are as their generator has them today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.clause_pages import clause_page, read_bugs, read_stories, write_clause_pages
from docs.make_client_matrix import CLIENTS, REPORTS
from docs.make_client_matrix import page as client_matrix
from docs.make_kill_matrix import page as kill_matrix
from mockbroker.contract.catalogue import CATALOGUE
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

DOCS = Path(__file__).parents[1] / "docs"


def test_the_kill_matrix_is_up_to_date():
    assert (DOCS / "kill-matrix.md").read_text(encoding="utf-8") == kill_matrix()


def test_there_is_proof_enough():
    assert len(MUTANTS) >= 90
    assert len(SOUND) >= 12


def test_the_matrix_of_clients_is_up_to_date():
    reports = json.loads(REPORTS.read_text(encoding="utf-8"))
    assert list(reports) == list(CLIENTS)
    assert (DOCS / "clients.md").read_text(encoding="utf-8") == client_matrix(reports)


@pytest.mark.parametrize("clause", CATALOGUE, ids=lambda clause: clause.id)
def test_a_clause_has_a_page_with_all_that_is_known_of_it(clause):
    story, bugs = read_stories().get(clause.id), read_bugs().get(clause.id, [])
    page = clause_page(clause, story, bugs)
    assert page.startswith(f"# {clause.id}\n")
    assert clause.title in page
    assert all(str(source) in page for source in clause.sources)
    assert clause.why in page
    assert clause.fix in page
    assert all(bug["report"] in page for bug in bugs)


@pytest.mark.parametrize("clause", CATALOGUE, ids=lambda clause: clause.id)
def test_a_clause_that_a_mutant_breaks_has_the_story_of_one(clause):
    breaking = {name for name, mutant in MUTANTS.items() if clause in mutant.broken}
    story = read_stories().get(clause.id)
    assert (story is None) == (not breaking)
    if story is not None:
        assert story["mutant"] in breaking
        assert story["reason"] in " ".join(clause_page(clause, story, []).split())


def test_pages_that_did_not_change_are_left_as_they_are(tmp_path):
    write_clause_pages(tmp_path)
    pages = sorted(tmp_path.iterdir())
    assert [page.stem for page in pages] == sorted([*(c.id for c in CATALOGUE), "index"])
    before = {page: page.stat().st_mtime_ns for page in pages}
    write_clause_pages(tmp_path)
    assert {page: page.stat().st_mtime_ns for page in pages} == before
