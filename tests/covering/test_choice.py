"""The coverage run leaves out what other tests reach as well."""

from __future__ import annotations

from math import inf

import pytest

from tests.covering import choice
from tests.covering.choice import Recorded, listed

NOTHING, EVERYTHING = 0, 0b1111


def left_out(tests, kept, needed, limit):
    return choice.left_out(tests, kept, needed=needed, price=limit, second_price=limit)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        pytest.param({"a": (0b11, 1), "b": (0b01, 1)}, {"b"}, id="reaches less"),
        pytest.param({"a": (0b11, 2), "b": (0b11, 1)}, {"a"}, id="costs more"),
        pytest.param({"a": (0b11, 9), "b": (0b01, 1), "c": (0b10, 1)}, {"a"}, id="cheap ones"),
        pytest.param({"a": (0b01, 9), "b": (0b10, 9)}, set(), id="nothing in common"),
        pytest.param({"a": (NOTHING, 1), "b": (0b1, 1)}, {"a"}, id="reaches nothing"),
    ],
)
def test_what_others_reach_is_left_out(tests, expected):
    recorded = {name: Recorded(*of) for name, of in tests.items()}
    assert left_out(recorded, kept=(), needed=EVERYTHING, limit=0) == expected
    assert left_out(recorded, kept=(), needed=NOTHING, limit=inf) == expected


def test_a_test_that_is_kept_makes_others_superfluous():
    tests = {"kept": Recorded(0b11, 9), "cheap": Recorded(0b11, 1)}
    assert left_out(tests, kept=["kept"], needed=EVERYTHING, limit=0) == {"cheap"}


@pytest.mark.parametrize(("needed", "left"), [(NOTHING, 2), (EVERYTHING, 1)])
def test_two_tests_reach_a_bit_if_the_second_is_cheap(needed, left):
    tests = {name: Recorded(0b1, 1) for name in "abc"}
    assert len(left_out(tests, kept=(), needed=needed, limit=1)) == left
    assert len(left_out(tests, kept=["a"], needed=needed, limit=0.5)) == 2


@pytest.mark.parametrize(("needed", "left"), [(NOTHING, {"dear"}), (EVERYTHING, set())])
def test_a_bit_that_is_not_needed_has_a_price(needed, left):
    tests = {"dear": Recorded(0b01, 9), "cheap": Recorded(0b10, 1)}
    assert left_out(tests, kept=(), needed=needed, limit=2) == left


def test_a_function_is_named_if_all_its_cases_are_left_out():
    everything = ["f::x[1]", "f::x[2]", "f::y[1]", "f::y[2]", "f::z"]
    lines = listed(["f::x[1]", "f::x[2]", "f::y[2]", "f::z"], everything)
    assert lines == ["f::x", "f::y[2]", "f::z"]
