"""A page is read as the blocks that it has, and no block is skipped silently."""

from __future__ import annotations

import pytest

from tests.documents.blocks import Block, HiddenFile, PageError, Place, Plan, items_of, plan_of


def fenced(language: str, text: str = "x\n", comments: str = "") -> str:
    return f"# Page\n\nWords.\n\n{comments}```{language}\n{text}```\n\nWords.\n"


def only_block(markdown: str) -> Block:
    (block,) = (item for item in items_of(markdown) if isinstance(item, Block))
    return block


@pytest.mark.parametrize(
    ("markdown", "plan"),
    [
        (fenced("sh"), Plan.SHELL),
        (fenced("bash"), Plan.SHELL),
        (fenced("python"), Plan.SCRIPT),
        (fenced("python", "def test_it(): pass\n"), Plan.TESTS),
        (fenced("python", "async def test_it(): pass\n"), Plan.TESTS),
        (fenced("toml"), Plan.PARSE),
        (fenced("json"), Plan.PARSE),
        (fenced("sh", comments="<!-- run: server -->\n"), Plan.SERVER),
        (fenced("yaml", comments="<!-- run: commands -->\n"), Plan.COMMANDS),
        (fenced("text", comments="<!-- output -->\n"), Plan.OUTPUT),
        (fenced("sh", comments="<!-- not run: it needs Docker -->\n"), Plan.NOT_RUN),
        (fenced("python", comments="<!-- save as: a.py -->\n"), Plan.SAVE),
    ],
)
def test_a_block_has_a_plan(markdown, plan):
    assert plan_of(only_block(markdown)) is plan


def test_comments_above_a_block_are_its_notes():
    comments = "<!-- exit status: 1 -->\n<!-- shows: a: b -->\n<!-- shows: c -->\n"
    block = only_block(fenced("sh", comments=comments))
    assert block.value("exit status") == "1"
    assert block.values("shows") == ["a: b", "c"]
    assert block.value("then") is None
    assert block.line == 8


def test_a_comment_can_be_a_file_or_a_place():
    items = items_of("<!-- place: clone -->\n\n<!-- file: a/b.py\nimport os\n\nprint(1)\n-->\n")
    assert items == [Place("clone"), HiddenFile("a/b.py", "import os\n\nprint(1)\n")]


def test_labels_and_what_only_sphinx_reads_are_left_alone():
    block = only_block(fenced("sh", comments="<!-- test command -->\n"))
    assert block.notes == ()
    assert items_of("<!-- {toctree}\n\nindex\n-->\n") == []


@pytest.mark.parametrize(
    "markdown",
    [
        fenced("text"),
        fenced(""),
        fenced("{toctree}"),
        fenced("sh", comments="<!-- not run -->\n"),
        fenced("sh", comments="<!-- not run: -->\n"),
        fenced("sh", comments="<!-- output: yes -->\n"),
        fenced("sh", comments="<!-- ignore: me -->\n"),
        fenced("sh", comments="<!-- run: sometimes -->\n"),
        fenced("sh", comments="<!-- exit status: 1 -->\n\nWords.\n\n"),
        "<!-- place: elsewhere -->\n",
        "Words.\n\n<!-- exit status: 1 -->\n",
    ],
)
def test_what_would_be_skipped_silently_is_an_error(markdown):
    with pytest.raises(PageError):
        [plan_of(item) for item in items_of(markdown) if isinstance(item, Block)]
