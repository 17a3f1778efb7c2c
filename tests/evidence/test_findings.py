"""Each page of a finding has its script, its pins, and a row in the index."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from evidence.files import CHECKOUT, DOCS
from mockbroker.contract.catalogue import CATALOGUE

FOLDER = CHECKOUT / "evidence" / "findings"
PAGES = sorted(path for path in (DOCS / "findings").glob("*.md") if path.name != "README.md")
INDEX = (DOCS / "findings" / "README.md").read_text(encoding="utf-8")
PINS = set((FOLDER / "requirements.txt").read_text(encoding="utf-8").split())


def script_of(page: Path) -> str:
    return (FOLDER / f"{page.stem}.py").read_text(encoding="utf-8")


def words_in_code(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_its_script_word_for_word(page):
    script = script_of(page)
    ast.parse(script)
    shown = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert shown == [script]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_the_pinned_release_and_clauses_that_exist(page):
    seen_with = page.read_text(encoding="utf-8").partition("\n\n")[2].partition("\n\n")[0]
    named = words_in_code(seen_with)
    assert named & PINS
    assert named - PINS
    assert named - PINS <= {clause.id for clause in CATALOGUE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_script_needs_no_kit(page):
    script = script_of(page)
    for kit in ("mockbroker", "mockbroker_contract", "pytest_mockbroker", "freezegun"):
        assert kit not in script


def test_the_index_has_every_page_by_its_title():
    rows = re.findall(r"^\| \[([^]]+)\]\(([^)]+)\) \|", INDEX, re.MULTILINE)
    titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0][2:] for page in PAGES}
    assert {path: title for title, path in rows} == titles


def test_every_pin_is_on_a_page():
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {pin for pin in PINS if f"`{pin}`" not in shown} == set()


def test_every_script_has_a_page_that_links_to_it():
    scripts = sorted(path.stem for path in FOLDER.glob("*-*.py"))
    assert scripts == [page.stem for page in PAGES]
    for page in PAGES:
        link = f"(../../evidence/findings/{page.stem}.py)"
        assert link in page.read_text(encoding="utf-8")
