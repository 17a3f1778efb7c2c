"""The wording of types and values, for messages about a value of the wrong type.

A message names a type as JSON and TOML do, not as Python does: "a string", not "str".
"""

from __future__ import annotations

import datetime
import difflib
import enum
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mockbroker.model.escaping import printable

__all__ = [
    "CONFIDENTIAL_JSON",
    "JSON",
    "TOML",
    "Wording",
    "bare",
    "did_you_mean",
    "is_union",
    "listed",
    "mismatch",
    "shortened",
]

# A message stays one readable line, even if a whole file stands where a string should be.
LONGEST_TEXT = 200
"""How many characters of a value, or of a list of names, a message shows."""

_NOUNS = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    type(None): "null",
    list: "a list",
    tuple: "a list",
    datetime.date: "a date",
    datetime.datetime: "a date and time",
    datetime.time: "a time",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """How a message names values: the noun for a mapping, and whether it shows values.

    ``shows_values`` is False where a value may be secret.
    """

    mapping: str
    shows_values: bool

    def of_type(self, kind: Any) -> str:
        """Return the noun for a type; a type that is not listed is read from a mapping."""
        return _NOUNS.get(kind, self.mapping)

    def of_value(self, value: object) -> str:
        """Return a value as JSON and TOML write it, or the noun for its type."""
        # Before numbers: in Python bool is a subclass of int.
        if self.shows_values and isinstance(value, bool):
            return "true" if value else "false"
        if self.shows_values and isinstance(value, (str, int, float)):
            return shortened(repr(value))
        if isinstance(value, (list, tuple)) and not value:
            return "an empty list"
        if type(value) in _NOUNS or isinstance(value, Mapping):
            return self.of_type(type(value))
        # No parser returns such a value, but a program may pass it.
        return f"a value of type {type(value).__name__}"


TOML = Wording("a table", shows_values=True)
JSON = Wording("an object", shows_values=True)
CONFIDENTIAL_JSON = Wording("an object", shows_values=False)
"""The wording for values that may be tokens: a message names their types only."""


def mismatch(value: object, kind: Any, wording: Wording) -> str:
    """Return the expected type and the actual value, as the end of a message.

    If the value is close to one of several choices, the message suggests it.
    """
    text = f"expected {_expected(kind, wording)}, got {wording.of_value(value)}"
    members = get_args(bare(kind)) if is_union(bare(kind)) else (kind,)
    choices = [c for member in members for c in _choices(member) if isinstance(c, str)]
    near = difflib.get_close_matches(value, choices, n=1) if isinstance(value, str) else ()
    return f"{text}; did you mean {near[0]!r}?" if near else text


def _expected(kind: Any, wording: Wording) -> str:
    """Return the expected type in words: its description, its choices, or its noun."""
    if get_origin(kind) is Annotated:  # prefer the description of the constraint
        described = (getattr(each, "description", None) for each in get_args(kind)[1:])
        return next(filter(None, described), None) or _expected(bare(kind), wording)
    if _choices(kind):
        return _any_of([TOML.of_value(choice) for choice in _choices(kind)])
    if is_union(kind):
        return _any_of([_expected(member, wording) for member in get_args(kind)])
    return wording.of_type(get_origin(kind) or kind)


def _choices(kind: Any) -> Sequence[object]:
    """Return the values that a Literal or an enumeration allows; empty for other types."""
    plain = bare(kind)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return [member.value for member in plain]
    return get_args(plain) if get_origin(plain) is Literal else ()


def _any_of(parts: Sequence[str]) -> str:
    """Return the parts separated by commas, each once, with "or" before the last."""
    parts = [*dict.fromkeys(parts)]
    return " or ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def bare(kind: Any) -> Any:
    """Return a type without the constraints that Annotated adds."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def is_union(kind: Any) -> bool:
    """Return whether a type is a union, in either spelling."""
    # `X | Y` and `Union[X, Y]` have different origins before Python 3.14.
    return get_origin(kind) in {Union, types.UnionType}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known name, or all."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Return the names separated by commas, limited in length."""
    return shortened(", ".join(names))


def shortened(text: str) -> str:
    """Return a string as one line of limited length, control characters escaped."""
    line = printable(text)
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}…"
