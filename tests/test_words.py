"""Texts are in plain technical English: a few words and constructions stay out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLAIN = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "mockbroker",
    "evidence",
    "contract_tests",
    "pytest_plugin",
    "examples",
    "benchmarks",
    "docs",
)
"""What has been worded plainly; grow this list, never shorten it."""

FILES = sorted(
    path
    for name in PLAIN
    for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
    if path.suffix in {".py", ".md"} and not {"_build", "node_modules"} & set(path.parts)
)
BANNED = (
    r"nobody",
    r"somebody",
    r"anybody",
    r"everybody",
    r"whoever",
    r"anew",
    r"mend(s|ed|ing)?",
    r"strangers?",
    r"rehearsals?",
    r"held against",
    r"goes along|go along",
    r"beside that",
    r"lives? by",
    r"(come|came|become|became) of",
    r"for ever",
    r"(is|are) no (?!longer\b|more than\b)\w+",
    r"whole numbers?",
    r"tells?",
    r"told",
    r"hold(s|ing)? good",
    r"naps?",
    r"napping",
    r"played",
    r"stor(y|ies)",
    r"spares?",
    r"shields?",
)
PATTERN = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_is_plain(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    found = {n: m[0] for n, line in enumerate(lines, 1) if (m := PATTERN.search(line))}
    assert found == {}, "words that style rules out, by line"


@pytest.mark.parametrize(
    "text", ["Nobody waits.", "it is no token", "There is no token.", "told and mended"]
)
def test_the_pattern_finds_what_it_is_for(text):
    assert PATTERN.search(text)


@pytest.mark.parametrize(
    "text", ["it is no longer valid", "the header is missing", "the broker recommends", "strange"]
)
def test_the_pattern_leaves_other_words_alone(text):
    assert not PATTERN.search(text)
