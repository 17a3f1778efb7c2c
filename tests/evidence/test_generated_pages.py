"""Generated pages and the picture show the stored data and today's catalogue."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from evidence.__main__ import PAGES
from evidence.pages import clients
from evidence.pages.clause_pages import clause_page, read_bugs, write_clause_pages
from evidence.pages.client_breaches import WHY_IT_COUNTS
from evidence.pages.reproductions import read_reproductions
from evidence.pages.verdict_picture import catalogue_of_picture
from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION
from mockbroker.contract.diagnosis import hinted
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.finding import Verdict
from mockbroker.report.steps import ClientMade, TimePassed
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

REPRODUCTIONS = read_reproductions()
REPORTS = clients.read_reports()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_a_generated_page_shows_the_stored_data(file: Path):
    is_current = file.read_text(encoding="utf-8") == PAGES[file]()
    assert is_current, f"{file.name} is stale: run `python -m evidence`"


def test_the_picture_was_made_with_the_catalogue_of_today():
    assert catalogue_of_picture() == CATALOGUE_VERSION, (
        "docs/verdict.svg shows an older catalogue: run `python -m evidence.pages.verdict_picture`"
    )


def test_there_are_enough_mutants_and_sound_clients():
    assert len(MUTANTS) >= 90
    assert len(SOUND) >= 12


def test_every_client_of_the_page_has_a_report():
    assert list(REPORTS) == list(clients.CLIENTS), "run `tox -e clients -- NAME`"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_made_with_the_catalogue_of_today_has_every_clause(name):
    report = REPORTS[name]
    if report.catalogue == CATALOGUE_VERSION:
        assert list(report.verdicts) == [clause.id for clause in CATALOGUE]
    assert report.verdicts


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_says_why_each_failure_counts(name):
    assert set(REPORTS[name].failed) == set(WHY_IT_COUNTS[name])


def report_with(verdicts: dict[str, Verdict]) -> clients.ClientReport:
    return clients.ClientReport(version="1.0", catalogue="0", measured={}, verdicts=verdicts)


def row_of(page: str, name: str) -> list[str]:
    """The cells of a client's row in the table of its clauses."""
    page = page.partition("## What does not pass")[2].partition("\n## ")[0]
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {name} |"))
    return row.strip("| ").split(" | ")[1:]


def link(clause) -> str:
    return f"[`{clause.id}`](clauses/{clause.id}.md)"


def test_a_clause_without_a_verdict_was_never_tried_and_does_not_pass():
    verdicts = {clause.id: Verdict.PASSED for clause in CATALOGUE}
    del verdicts[clauses.secrecy.REDIRECT.id]
    page = clients.page({"curl in a script": report_with(verdicts)})
    assert row_of(page, "curl in a script") == ["-", "-", "-", link(clauses.secrecy.REDIRECT)]
    assert "not sent" not in page


@pytest.mark.parametrize("verdict", [None, Verdict.NOT_APPLICABLE])
def test_a_clause_that_does_not_apply_to_the_profile_is_in_no_column(verdict):
    of_no_basic = clauses.post.ONLY
    assert of_no_basic.applies_to(AUTOGRAB)
    verdicts = {clause.id: Verdict.PASSED for clause in CATALOGUE if clause is not of_no_basic}
    if verdict:
        verdicts[of_no_basic.id] = verdict
    page = clients.page({"curl in a script": report_with(verdicts)})
    assert row_of(page, "curl in a script") == ["-", "-", "-", "-"]


def test_each_verdict_that_is_not_a_pass_has_its_column():
    verdicts = {clause.id: Verdict.PASSED for clause in CATALOGUE} | {
        clauses.secrecy.REDIRECT.id: Verdict.HANG,
        clauses.cache.REUSE.id: Verdict.ADVICE,
        clauses.tls.VERIFY.id: Verdict.NOT_APPLICABLE,
    }
    page = clients.page({"curl in a script": report_with(verdicts)})
    assert row_of(page, "curl in a script") == [
        link(clauses.secrecy.REDIRECT),
        link(clauses.cache.REUSE),
        link(clauses.tls.VERIFY),
        "-",
    ]
    assert "sent to the other origin" in page


@pytest.mark.parametrize("clause", CATALOGUE, ids=lambda clause: clause.id)
def test_the_page_of_a_clause_has_everything_that_is_known_of_it(clause):
    reproduction, bugs = REPRODUCTIONS.get(clause.id), read_bugs().get(clause.id, [])
    page = clause_page(clause, reproduction, bugs)
    clause = clause.for_profile(AUTOGRAB)
    assert page.startswith(f"# {clause.id}\n")
    assert clause.title in page
    assert all(str(source) in page for source in clause.sources)
    assert clause.why in page
    assert clause.fix in page
    assert all(bug["report"] in page for bug in bugs)


@pytest.mark.parametrize("clause", CATALOGUE, ids=lambda clause: clause.id)
def test_a_clause_that_a_mutant_breaks_has_a_reproduction(clause):
    breaking = {name for name, mutant in MUTANTS.items() if clause in mutant.broken}
    reproduction = REPRODUCTIONS.get(clause.id)
    how = f"run `tox -e reproductions -- {clause.id}`"
    assert (reproduction is None) == (not breaking), how
    if reproduction is not None:
        assert reproduction.mutant in breaking, how
        words = clause_page(clause, reproduction, []).split()
        assert " ".join(reproduction.reason.split()) in " ".join(words)


def test_a_reproduction_is_shown_as_a_report_shows_it():
    first = next(iter(REPRODUCTIONS.values()))
    shown = msgspec.structs.replace(
        first,
        reason="no token",
        steps=(ClientMade(), TimePassed(seconds=1)),
        exchanges=(),
        diagnosis=hinted("a typo"),
    )
    text = "found    no token\nlikely   a typo\nsteps    the client is made\n         +1 s\n```\n"
    assert text in clause_page(CATALOGUE[0], shown, [])


def test_pages_that_did_not_change_are_left_as_they_are(tmp_path):
    write_clause_pages(tmp_path)
    pages = sorted(tmp_path.iterdir())
    assert sorted(page.stem for page in pages) == sorted([*(c.id for c in CATALOGUE), "index"])
    before = {page: page.stat().st_mtime_ns for page in pages}
    write_clause_pages(tmp_path)
    assert {page: page.stat().st_mtime_ns for page in pages} == before


def test_the_pages_of_clauses_are_those_of_the_catalogue(tmp_path):
    write_clause_pages(tmp_path)
    folder = Path(__file__).parents[2] / "docs" / "clauses"
    assert {page.name for page in folder.iterdir()} == {page.name for page in tmp_path.iterdir()}
    for page in tmp_path.iterdir():
        is_current = (folder / page.name).read_bytes() == page.read_bytes()
        assert is_current, f"{page.name} is stale: run `python -m evidence`"


def test_the_start_page_counts_the_clauses():
    start = (Path(__file__).parents[2] / "docs" / "index.md").read_text(encoding="utf-8")
    assert f"[{len(CATALOGUE)} clauses](clauses/index.md)" in start
