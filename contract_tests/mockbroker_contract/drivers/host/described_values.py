"""Values that a client returned in place of a token, in a few words.

A value may be of the client's own class, or may hold a secret. So no code of the value is run, and
only numbers, words that mean "no value", and the keys of a dict are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import CoroutineType
from typing import Any

from mockbroker_contract.drivers.host.errors import name_of_class

__all__ = ["described_value"]

# Python refuses to convert integers of more than 4300 digits, and a report needs no long ones.
_MAX_NUMBER = 10**30
_MAX_KEYS = 5
_MAX_NAME = 60
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,29}")
_NO_VALUE = frozenset({"None", "null", "undefined", "nil", "NULL", "nan", "[object Object]"})
"""What "no value" becomes as a string in Python, JSON and Java, JavaScript, Go, and SQL."""


def described_value(value: object) -> str:
    """Return the value in words that complete "the client returned …".

    Of a string only the length is shown, unless it is a word for "no value".
    """
    if value is None:
        return "None"
    kind: Any = type(value)
    name = name_of_class(kind)[:_MAX_NAME]
    # The exact types: a subclass may override its own methods.
    described = _DESCRIBED.get(kind)
    return described(value, name) if described else f"an object of class {name}"


def _string(text: str, _: str) -> str:
    return f"the word {text!r}" if text in _NO_VALUE else f"a string of length {len(text)}"


def _number(number: float, name: str) -> str:
    return f"{number!r} ({name})" if abs(number) < _MAX_NUMBER else f"a long number ({name})"


def _dict(members: dict[object, object], _: str) -> str:
    keys = [key for key in members if type(key) is str and _PLAIN_KEY.fullmatch(key)]
    return f"a dict with {', '.join(keys[:_MAX_KEYS])}" if keys else "a dict"


def _sized(values: Sequence[object], name: str) -> str:
    return f"{name} of length {len(values)}"


_DESCRIBED: dict[type, Callable[[Any, str], str]] = {
    str: _string,
    bool: _number,
    int: _number,
    float: _number,
    dict: _dict,
    bytes: _sized,
    bytearray: _sized,
    list: _sized,
    tuple: _sized,
    CoroutineType: lambda *_: "a coroutine, which was not awaited",
}
