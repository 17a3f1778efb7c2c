"""Every block of a page runs as it is pasted, and every page reads on GitHub as it is.

CONTRIBUTING.md describes the comments by which a page says how a block is run.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from tests.documents.blocks import Block, Plan, items_of, plan_of
from tests.documents.page_runner import PageRunner
from tests.environments import environment_with_wheel

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [
    *PAGES,
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*/*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
    ROOT / "examples" / "drivers" / "README.md",
]
INSTALLED = r"\.\./mockbroker"
"""What pip installs today: a clone beside the project."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    items = items_of(page.read_text(encoding="utf-8"))
    return [item for item in items if isinstance(item, Block)]


def is_run(page: Path) -> bool:
    return any(plan_of(block) is not Plan.NOT_RUN for block in blocks_of(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_block_is_run_or_has_a_reason(page):
    for block in blocks_of(page):
        assert plan_of(block) in Plan
        assert all(len(reason.split()) > 2 for reason in block.values("not run"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_saved_file_is_used(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        name = Path(block.value("save as") or "").name
        assert not name or block.value("then") or text.count(name) > 1, f"line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_snippet_is_cut_from_its_file(page):
    for block in blocks_of(page):
        if source := block.value("from"):
            assert block.text.strip() in (ROOT / source).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_a_page_reads_on_github(page):
    text = page.read_text(encoding="utf-8")
    assert "```{" not in text, "a directive of Sphinx stands in a comment: <!-- {toctree} … -->"
    visible = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    assert len(visible.split()) > 20, "nothing but a comment or a link"


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_to_a_heading_have_their_heading(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        text = ((page.parent / target) if target else page).read_text(encoding="utf-8")
        assert anchor in {anchor_of(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def anchor_of(heading: str) -> str:
    """The anchor that GitHub and MyST give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_mockbroker_is_installed_by_one_line(page):
    text = page.read_text(encoding="utf-8")
    for installed in re.findall(r"pip install ('?\S*mockbroker\S*)", text):
        assert re.fullmatch(rf"'?{INSTALLED}(\[redis\])?'?`?", installed)


@pytest.mark.parametrize("file", [*PAGES, *sorted((ROOT / "examples").rglob("*.py"))], ids=name_of)
def test_what_a_user_imports_comes_from_mockbroker(file):
    text = file.read_text(encoding="utf-8")
    deep = re.findall(
        r"^(?:from|import) (?:mockbroker\.|mockbroker_contract|pytest_mockbroker).*",
        text,
        re.MULTILINE,
    )
    assert deep == []


def test_every_page_is_in_a_table_of_contents():
    start = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(?:.* <)?([\w/-]+)>?$", start, re.MULTILINE))
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= listed, "add the page to a table of contents in docs/index.md"


@pytest.fixture(scope="module")
def programs(distributions, tmp_path_factory) -> Path:
    """The programs of an environment with the wheel, in which pages may install more."""
    return environment_with_wheel(distributions, "documents", tmp_path_factory)


@pytest.mark.slow
@pytest.mark.documents
@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this folder is not a repository to clone")
@pytest.mark.parametrize("page", [page for page in PAGES if is_run(page)], ids=name_of)
def test_every_block_runs_as_pasted(page, tmp_path, programs):
    text = page.read_text(encoding="utf-8")
    # Pages name the same ports, and pip must not install twice at a time into one environment.
    is_alone = "mockbroker serve" in text or ":8080" in text or "pip install" in text
    folder = Path(tempfile.gettempdir()) if is_alone else tmp_path
    with FileLock(folder / "mockbroker-pages.lock"), PageRunner(tmp_path, programs) as runner:
        for item in items_of(text):
            runner.do(item)
