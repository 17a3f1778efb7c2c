"""Values are found wherever they stand, and forgotten when they are discarded."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.model.value_index import ValueIndex, index_of

TOKEN = "kR3v-Xq_81mZ0aTgLw5yPn7hVbC2dEoUsJfI4K9MxQe"


def places(text: str, *values: str) -> list[str]:
    return [text[match.start : match.end] for match in index_of(values).find(text)]


@given(st.lists(st.text(min_size=4, max_size=60), min_size=1), st.text(), st.text())
def test_a_value_is_found_whatever_stands_around_it(values, before, after):
    for value in values:
        text = before + value + after
        found = list(index_of(values).find(text))
        start, end = len(before), len(before) + len(value)
        covered = {place for match in found for place in range(match.start, match.end)}
        assert covered & set(range(start, end)), (text, value)
        assert all(a.end <= b.start for a, b in itertools.pairwise(found))


@given(st.text())
def test_nothing_is_found_among_no_values(text):
    assert list(ValueIndex().find(text)) == []


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        (f"a{TOKEN}b", [TOKEN], [TOKEN]),
        (TOKEN.upper(), [TOKEN], [TOKEN.upper()]),
        (f"{TOKEN[:40]}=1", [TOKEN], [TOKEN[:40]]),
        (TOKEN[:20], [TOKEN], []),
        (TOKEN[1:], [TOKEN], []),
        ("shorter", ["short", "shorter"], ["shorter"]),
        ("an abc", ["abc", "a"], []),
        ("abcd ABCD", ["abcd"], ["abcd"]),
        ("abcdefgh ABCDEFGH", ["abcdefgh"], ["abcdefgh", "ABCDEFGH"]),
        ("prefix-of-all-tokens-0007", [f"prefix-of-all-tokens-{n:04}" for n in range(9)], None),
        ("İİİİ" + TOKEN, [TOKEN], [TOKEN]),
        ("\udc80abcd", ["\udc80abcd"], ["\udc80abcd"]),
    ],
)
def test_what_is_found(text, values, found):
    assert places(text, *values) == ([text] if found is None else found)


def test_a_value_that_was_discarded_is_found_no_more_and_others_are():
    index = index_of([])
    for number in range(100):
        index.put(f"token-with-one-beginning-{number}", number)
    for number in range(99):
        index.discard(f"token-with-one-beginning-{number}")
    index.discard("never there")
    text = " ".join(f"token-with-one-beginning-{number}" for number in (7, 99))
    assert [match.value for match in index.find(text) if match.is_exact] == [
        "token-with-one-beginning-99"
    ]
    index.discard("token-with-one-beginning-99")
    assert (list(index.find(text)), len(index), index.shortest_found) == ([], 0, 0)


def test_a_value_put_again_stands_for_something_else_and_is_there_once():
    index: ValueIndex[int] = ValueIndex()
    index.put(TOKEN, 1)
    index.put(TOKEN, 2)
    assert (index[TOKEN], len(index), list(index)) == (2, 1, [TOKEN])
    index.discard(TOKEN)
    assert not places(TOKEN, *index)


def test_it_may_change_while_it_is_walked():
    index = index_of(["first"])
    for value in index:
        index.put(f"{value} again", None)
    assert sorted(index) == ["first", "first again"]
    assert "2 values" in repr(index)
