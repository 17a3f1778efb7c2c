"""docs/profiles.md describes every field of a profile, with the default that it has."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest

from mockbroker import Answer, ErrorForm, Profile, Quota, Source
from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.certificate_rules import CertificateRules
from mockbroker.model.metadata import Metadata
from mockbroker.model.profile_parts import (
    ANSWER_WORDS,
    API_SITUATIONS,
    ERROR_WORDS,
    TOKEN_SITUATIONS,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[1] / "docs" / "profiles.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z_.]+)` \| .* \| (?:`(.*)`|(required|none)) \| ", re.MULTILINE)
PREFIXES = {
    Profile: "",
    Answer: "",
    ErrorForm: "",
    Source: "",
    AssertionRules: "assertion.",
    CertificateRules: "certificate.",
    Metadata: "metadata.",
}
CHAPTERS = {Profile: "Every field", Answer: "Answer", ErrorForm: "Errors", Source: "Sources"}
FURTHER = "Assertion, certificate, metadata"


def rows_of(kind):
    chapter = CHAPTERS.get(kind, FURTHER)
    text = re.split(rf"^##+ {chapter}$", PAGE, flags=re.MULTILINE)[1]
    rows = ROW.findall(re.split(r"^##+ ", text, flags=re.MULTILINE)[0])
    prefix = PREFIXES[kind]
    return {
        name.removeprefix(prefix): json.loads(default) if default and default != "{}" else word
        for name, default, word in rows
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("kind", PREFIXES, ids=lambda kind: kind.__name__)
def test_every_field_has_a_row_with_its_default(kind):
    rows = rows_of(kind)
    own = {each.name: each for each in dataclasses.fields(kind) if each.name != "name"}
    assert list(rows) == [*own] if kind is Profile else set(rows) == set(own)
    for name, said in rows.items():
        default = own[name].default
        if default is dataclasses.MISSING:
            assert said in ("", "required"), name
        elif default is None:
            assert said == "none", name
        else:
            plain = list(default) if isinstance(default, tuple) else default
            assert said == plain, name


def test_every_situation_and_placeholder_has_a_row():
    for name, meaning in {**TOKEN_SITUATIONS, **API_SITUATIONS}.items():
        assert f"| `{name}` | {meaning} |" in PAGE
    for word in (*ANSWER_WORDS, *ERROR_WORDS):
        assert f"`{{{word}}}`" in PAGE
    assert all(f"`{each.name}`" in PAGE for each in dataclasses.fields(Quota))


def test_the_assignments_of_the_table_are_fields(tmp_path):
    section = PAGE.partition("## From the page to the fields")[2].partition("## Every field")[0]
    written = [
        code
        for line in section.splitlines()
        if line.startswith("| ")
        for code in re.findall(r"`([a-z_.]+ = [^`]+)`", line.rpartition(" | ")[2])
    ]
    known = {each.name: Profile for each in dataclasses.fields(Profile)}
    assert len(written) > 50
    for code in written:
        assert tomllib.loads(code).keys() <= known.keys(), code
