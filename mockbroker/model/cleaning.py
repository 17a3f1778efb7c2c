"""Applying a function to every string in a value that is made of structs and containers.

Reports are made printable with it in one step, so that no field can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import msgspec

__all__ = ["with_texts"]

T = TypeVar("T")


def with_texts(value: T, change: Callable[[str], str]) -> T:
    """Return the value with ``change`` applied to each string in it, keys of dicts included.

    The names of struct fields and the tags of unions do not change.
    """
    changed: T = _changed(value, change)
    return changed


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Return the value with its strings changed, as a value of the same type.

    Other values, such as numbers and members of enumerations, are returned as they are.
    """
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        # Unchanged structs are returned as they are: most strings have nothing to mask or to
        # escape.
        new = {name: _changed(field, change) for name, field in fields.items()}
        return msgspec.structs.replace(value, **new) if new != fields else value
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(part, change) for part in value)
    if isinstance(value, dict):
        return {_changed(name, change): _changed(part, change) for name, part in value.items()}
    # A member of a string enumeration is a str too, and must stay that member.
    return change(value) if isinstance(value, str) and not isinstance(value, Enum) else value
