"""The pages of findings are whole: each has its script, its pins, and a row in the index."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mockbroker.contract.catalogue import CATALOGUE

FOLDER = Path(__file__).parents[1] / "docs" / "findings"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
PINS = set((FOLDER / "requirements.txt").read_text(encoding="utf-8").split())


def words_in_code(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_its_script_word_for_word(page):
    script = page.with_suffix(".py").read_text(encoding="utf-8")
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
    script = page.with_suffix(".py").read_text(encoding="utf-8")
    for kit in ("mockbroker", "mockbroker_contract", "pytest_mockbroker", "freezegun"):
        assert kit not in script


def test_the_index_has_every_page_by_its_title():
    rows = re.findall(r"^\| \[([^]]+)\]\(([^)]+)\) \|", INDEX, re.MULTILINE)
    titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0][2:] for page in PAGES}
    assert {path: title for title, path in rows} == titles


def test_every_pin_is_on_a_page():
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {pin for pin in PINS if f"`{pin}`" not in told} == set()
