"""Examples of known failures: kept as plain data, read back, and played before any other."""

from __future__ import annotations

import enum
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockbroker import Credentials
from mockbroker.model.breach import Breach
from mockbroker.report.plain_examples import ExampleError, from_plain, to_plain
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.replay import Replays, fits, fitting, samples_of

CLAUSE = "basic.credentials"
OPERATIONS = ("get_token",)
PAIR = Credentials("an-id", "a-s3cret")

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
examples = st.recursive(
    leaves | st.binary() | st.builds(Credentials, st.text(), st.text()),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


# How fast examples are drawn says how busy the machine is, and nothing else.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(examples)
def test_an_example_comes_back_as_it_was(example):
    plain = to_plain(example)
    json.dumps(plain)
    assert from_plain(plain) == example


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (object(), "'object' cannot be stored as TOML"),
        ((1, [{3}]), "'set' cannot be stored as TOML"),
        ({1: 2}, "'dict' cannot be stored as TOML"),
        (Colour.RED, "'Colour' cannot be stored as TOML"),
        (Credentials("id", "\ud800"), "half a surrogate pair"),
    ],
)
def test_what_has_no_plain_form_is_refused(example, message):
    with pytest.raises(ExampleError, match=message):
        to_plain(example)


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"list": [], "dict": {}},
        {"set": [1]},
        {"list": 3},
        {"dict": [1]},
        {"credentials": ["only-one"]},
        {"credentials": ["id", 3]},
        {"bytes": "no hex"},
        [1, {"bytes": 3}],
        None,
    ],
)
def test_what_is_no_example_is_refused(plain):
    with pytest.raises(ExampleError):
        from_plain(plain)


@pytest.mark.parametrize(
    ("example", "fitting"),
    [
        ((PAIR, 60, [(1, 2)], "get_token"), True),
        ((PAIR, 60, [], "get_token"), True),
        ((PAIR, 60, [(1, 2, 3)], "get_token"), False),
        ((PAIR, 60, [(1, "2")], "get_token"), False),
        ((PAIR, 60, (1, 2), "get_token"), False),
        ((PAIR, True, [], "get_token"), False),
        ((PAIR, 60, [], "request"), False),
        ((60, PAIR, [], "get_token"), False),
        ((PAIR, 60, []), False),
        ((), False),
        (None, False),
        ("get_token", False),
    ],
)
def test_an_example_fits_what_a_scenario_draws_today(example, fitting):
    steps = st.lists(st.tuples(st.integers(), st.integers()))
    strategy = st.tuples(
        st.builds(Credentials, st.text(), st.text()),
        st.integers(),
        steps,
        st.sampled_from(OPERATIONS),
    )
    assert fits(example, samples_of(strategy), OPERATIONS) is fitting


def test_a_text_fits_texts_and_an_empty_list_every_list():
    assert fits("anything", samples_of(st.text()), OPERATIONS)
    assert fits([3], [[]], OPERATIONS)


def played(replays, attempt, samples=(("a", 1),)):
    replays.try_example(CLAUSE, lambda plain: attempt(fitting(plain, samples, OPERATIONS)))


def test_the_example_is_played_where_it_fits_and_in_no_other_scenario():
    replays, seen = Replays({CLAUSE: ["x", 3]}), []
    played(replays, seen.append, samples=[("another shape",)])
    assert replays.outcomes == {CLAUSE: "its scenario now draws others"}
    played(replays, seen.append)
    played(replays, seen.append, samples=[("another shape",)])
    replays.try_example("basic.utf8", seen.append)
    assert seen == [("x", 3)]
    assert replays.outcomes == {CLAUSE: ""}


@pytest.mark.parametrize(
    "outcome", [ContractBreached((Breach(CLAUSE, "x", "y"),)), TargetError("gone")]
)
def test_what_playing_it_shows_is_not_lost(outcome):
    def attempt(_example):
        raise outcome

    replays = Replays({CLAUSE: ["x", 3]})
    with pytest.raises(type(outcome)):
        played(replays, attempt)
    assert replays.outcomes == {CLAUSE: ""}


def test_an_example_that_the_scenario_trips_over_is_left_alone():
    def attempt(example):
        raise KeyError(example)

    replays = Replays({CLAUSE: ["x", 3]})
    played(replays, attempt)
    assert replays.outcomes == {CLAUSE: "its scenario cannot run it any more (KeyError)"}
