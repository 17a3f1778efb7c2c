"""Clauses are selected by id, chapter or level, and never by accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.contract.catalogue import CATALOGUE, CHAPTERS
from mockbroker.contract.clause import Level
from mockbroker.contract.selection import EVERY_CLAUSE, Selection, SelectionError, select

IDS = [entry.id for entry in CATALOGUE]


def selected(*texts):
    chosen = select(texts, CATALOGUE)
    return [entry.id for entry in CATALOGUE if entry in chosen]


@pytest.mark.parametrize("texts", [(), ("",), (" , ",)])
def test_no_pattern_selects_every_clause(texts):
    assert select(texts, CATALOGUE) == EVERY_CLAUSE
    assert selected(*texts) == IDS


@pytest.mark.parametrize("clause_id", IDS)
def test_an_id_selects_that_clause(clause_id):
    expected = [clause_id] if clause_id not in CHAPTERS else selected(clause_id)
    assert selected(clause_id) == expected
    assert clause_id in expected


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_selects_its_clauses_and_so_does_its_wildcard(chapter):
    members = [entry.id for entry in CATALOGUE if entry.chapter == chapter]
    assert selected(chapter) == members
    if members != [chapter]:
        assert selected(f"{chapter}.*") == members


@pytest.mark.parametrize("level", Level)
def test_a_level_selects_its_clauses_in_either_case(level):
    members = [entry.id for entry in CATALOGUE if entry.level is level]
    assert selected(level.value) == selected(level.value.lower()) == members


def test_several_patterns_are_joined_by_commas_or_given_apart():
    joined = selected("refresh.ahead, tls", "request.m*")
    assert joined == ["request.method", "refresh.ahead", "tls.verify"]
    assert joined == selected("request.m*,tls,refresh.ahead")


def test_a_wildcard_must_match_a_whole_id():
    assert selected("*.ahead") == ["refresh.ahead"]
    with pytest.raises(SelectionError):
        selected("ahead*")


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("token", "response.opaque-token"),
        ("refresh.", "refresh"),
        ("refresh.ahed", "refresh.ahead"),
        ("ahed", "refresh.ahead"),
        ("requets", "request"),
        ("musst", "must"),
        ("REQUEST", "request"),
    ],
)
def test_a_pattern_that_selects_nothing_names_the_nearest(pattern, nearest):
    with pytest.raises(SelectionError) as raised:
        selected("tls", pattern)
    assert raised.value.pattern == pattern
    assert f"{pattern!r} is not the id, chapter or level of a clause; did you" in str(raised.value)
    assert nearest in str(raised.value).rpartition("mean ")[2].rstrip("?").split(" or ")


def test_where_nothing_is_near_it_says_where_clauses_are_listed():
    with pytest.raises(SelectionError, match="`mockbroker clauses` lists them"):
        selected("没有")


@given(st.sampled_from(IDS), st.data())
def test_no_part_of_an_id_selects_it(clause_id, data):
    start = data.draw(st.integers(0, len(clause_id) - 1))
    part = clause_id[start : data.draw(st.integers(start + 1, len(clause_id)))]
    if part not in {*IDS, *CHAPTERS, *(level.value.lower() for level in Level)}:
        with pytest.raises(SelectionError):
            select([part], CATALOGUE)


def test_a_selection_is_written_with_commas():
    assert str(Selection(("refresh", "must"))) == "refresh,must"
