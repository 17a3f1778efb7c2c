"""A profile as a table of TOML that stands alone, to copy into a file and change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, cast

import tomlkit

from mockbroker.model.profile import Profile

__all__ = ["toml_of"]

_NAMES = ("name", "extends")
"""The name is that of the table, and the values of the extended profile are in it."""


def toml_of(profile: Profile, name: str) -> str:
    """Return the profile as the table ``[profiles.NAME]``, without the values that are defaults."""
    usual = Profile(name=profile.name)
    given = {
        each.name: getattr(profile, each.name)
        for each in fields(cast("Any", Profile))
        if each.name not in _NAMES and getattr(profile, each.name) != getattr(usual, each.name)
    }
    table = _values_first({key: _plain(value) for key, value in given.items()})
    return tomlkit.dumps({"profiles": {name: table}})


def _plain(value: object) -> Any:
    """Return a part of a profile as values of TOML, without the members that are defaults."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not is_dataclass(value):
        return value
    usual = {each.name: each.default for each in fields(cast("Any", value))}
    made = asdict(cast("Any", value))
    return {k: _plain(v) for k, v in made.items() if v != usual[k] and v not in ({}, ())}


def _values_first(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with its plain values first: in TOML they stand before the tables."""
    return dict(sorted(table.items(), key=lambda item: _is_table(item[1])))


def _is_table(value: object) -> bool:
    """Return whether a value is written as one table or several."""
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )
