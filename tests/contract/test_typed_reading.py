"""What does not have the expected type is an error of one sentence, with its place."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mockbroker.model.type_words import CONFIDENTIAL_JSON, TOML
from mockbroker.model.typed_reading import ReadingError, read


@dataclass(frozen=True)
class Door:
    colour: Literal["red", "green"]
    width: float = 1.0
    labels: list[str] = field(default_factory=list)


class Style(enum.Enum):
    FLAT = "flat"
    STEEP = "steep"


class Cat(msgspec.Struct, tag="cat", tag_field="kind"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog", tag_field="kind"):
    name: str = ""


class House(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    doors: list[Door] = []
    rooms: dict[str, int] = {}
    owner: Door | None = None
    built: Union[datetime.date, int, None] = None
    height: Annotated[int, msgspec.Meta(ge=1, description="an integer >= 1")] = 1
    size: tuple[int, ...] = ()
    notes: Any = None
    flat: bool = False
    streets: list[str] | str = ""
    roof: Style = Style.FLAT
    pet: Cat | Dog | None = None


class Note(msgspec.Struct, rename={"from_": "from"}):
    from_: str
    number: int = 0


def error_of(value: object, kind: type, **options: Any) -> str:
    with pytest.raises(ReadingError) as caught:
        read(value, kind, "house.toml", **options)
    return str(caught.value)


def test_a_value_that_fits_is_made():
    built = datetime.date(1900, 1, 2)
    house = read(
        {
            "name": "n",
            "doors": [{"colour": "red"}, {"colour": "green", "width": 2, "labels": ["x"]}],
            "rooms": {"attic": 1},
            "owner": {"colour": "red"},
            "built": built,
            "size": [1, 2],
            "notes": {"any": ["thing"]},
            "streets": ["a"],
        },
        House,
        "house.toml",
    )
    assert house == House(
        "n",
        [Door("red"), Door("green", 2.0, ["x"])],
        {"attic": 1},
        Door("red"),
        built,
        size=(1, 2),
        notes={"any": ["thing"]},
        streets=["a"],
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "name is missing"),
        ({"name": 5}, "name: expected a string, got 5"),
        ({"name": None}, "name: expected a string, got null"),
        ({"name": "n", "flat": 1}, "flat: expected true or false, got 1"),
        ({"name": "n", "rooms": {"attic": True}}, "rooms.attic: expected an integer, got true"),
        ({"name": "n", "rooms": []}, "rooms: expected a table, got an empty list"),
        ({"name": "n", "doors": {}}, "doors: expected a list, got a table"),
        ({"name": "n", "doors": [5]}, "doors[0]: expected a table, got 5"),
        ({"name": "n", "doors": [{}]}, "doors[0]: colour is missing"),
        (
            {"name": "n", "doors": [{"colour": "red"}, {"colour": "gren"}]},
            "doors[1].colour: expected 'red' or 'green', got 'gren'; did you mean 'green'?",
        ),
        (
            {"name": "n", "doors": [{"colour": "red", "labels": ["a", 2.5]}]},
            "doors[0].labels[1]: expected a string, got 2.5",
        ),
        (
            {"name": "n", "owner": {"colour": "red", "with": 2}},
            "owner: unknown key 'with'; did you mean 'width'?",
        ),
        ({"name": "n", "owner": 2}, "owner: expected a table or null, got 2"),
        ({"name": "n", "owner": {"color": "red"}}, "owner: unknown key 'color'; did you mean"),
        ({"name": "n", "built": 2.5}, "built: expected a date, an integer or null, got 2.5"),
        ({"name": "n", "built": datetime.time(1)}, "integer or null, got a time"),
        ({"name": "n", "height": 0}, "height: expected an integer >= 1, got 0"),
        ({"name": "n", "size": [1, "2"]}, "size[1]: expected an integer, got '2'"),
        ({"name": "n", "streets": [1]}, "streets[0]: expected a string, got 1"),
        ({"name": "n", "streets": 1}, "streets: expected a list or a string, got 1"),
        (
            {"name": "n", "roof": "step"},
            "roof: expected 'flat' or 'steep', got 'step'; did you mean 'steep'?",
        ),
        ({"name": "n", "pet": {"kind": "cat", "lives": "x"}}, "pet.lives: expected an integer"),
        ({"name": "n", "pet": {"kind": "cta"}}, "pet: unknown kind 'cta'; did you mean 'cat'?"),
        ({"name": "n", "pet": {"lives": 1}}, "pet: kind is missing"),
        ({"name": "n", "dors": []}, "unknown key 'dors'; did you mean 'doors'?"),
        ({"name": "n", "room": {}}, "unknown table 'room'; did you mean 'rooms'?"),
        (
            {"name": "n", "xyz": 1},
            "unknown key 'xyz'; known are name, doors, rooms, owner, built, ",
        ),
        ({"name": "n", "a\x1b": 1}, r"unknown key 'a\x1b'; "),
        ({"name": "n", "rooms": {"a\x1b": ""}}, r"rooms.a\x1b: expected an integer, got ''"),
        ({"name": "n", "height": "x" * 999}, f"got '{'x' * 199}…"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(members, message):
    text = error_of(members, House)
    assert text.startswith("house.toml: ")
    assert message in text
    assert "\n" not in text


def test_an_error_at_the_root_names_the_source_only():
    assert error_of([], House) == "house.toml: expected a table, got an empty list"


def test_keys_and_given_fields_belong_to_the_place():
    at = {"keys": ("doors", "front"), "given": {"colour": "red"}}
    assert read({"width": 3}, Door, "house.toml", **at) == Door("red", 3.0)
    assert error_of({"width": ""}, Door, **at) == (
        "house.toml: doors.front.width: expected a number, got ''"
    )
    assert error_of({"colour": "green"}, Door, **at) == (
        "house.toml: doors.front: unknown key 'colour'; known are width, labels"
    )


def test_a_struct_ignores_unknown_keys_unless_it_forbids_them():
    assert read({"from": "x", "to": "y"}, Note, "line") == Note("x")
    assert error_of({"form": "x"}, Note) == "house.toml: from is missing; found form"


def test_an_error_about_a_line_shows_no_value():
    secret = {"from": "x", "number": "t0ken"}
    assert error_of(secret, Note, wording=CONFIDENTIAL_JSON) == (
        "house.toml: number: expected an integer, got a string"
    )
    assert error_of(["t0ken"], Note, wording=CONFIDENTIAL_JSON) == (
        "house.toml: expected an object, got a list"
    )


def test_what_a_class_demands_beyond_its_types_is_an_error_too():
    @dataclass
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(f"{self.number} is odd")

    assert read({"number": 2}, Even, "f").number == 2
    assert error_of({"number": 3}, Even, keys=("a",)) == "house.toml: a: 3 is odd"


def test_what_only_msgspec_refuses_is_an_error_in_its_words():
    class Pair(msgspec.Struct):
        numbers: Annotated[list[int], msgspec.Meta(min_length=2)]

    assert "length >= 2" in error_of({"numbers": [1]}, Pair)


_TEXTS = st.text("redgn \x1b\n\u202e\ud800", max_size=9)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS)
_KEYS = st.sampled_from([*House.__struct_fields__, "colour", "labels", "other"])
_VALUES = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3), st.dictionaries(_KEYS, _SCALARS))


@pytest.mark.parametrize("wording", [TOML, CONFIDENTIAL_JSON])
@example({"name": "", "doors": "\ud800"})
@given(st.dictionaries(_KEYS, _VALUES))
def test_any_value_is_made_or_an_error_of_one_line(wording, value):
    try:
        assert isinstance(read(value, House, "house.toml", wording=wording), House)
    except ReadingError as error:
        text = str(error)
        assert text.isprintable()
        assert len(text) < 1000
