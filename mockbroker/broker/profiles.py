"""Profiles by name: those that ship, and those that a user describes in a TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mockbroker.contract.authentication import METHODS
from mockbroker.model.profile import PROFILES, Profile, lifetime_problem

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser under its older name
    import tomli as tomllib

__all__ = ["ConfigError", "load_profiles", "profile_named", "read_toml"]

CHOICES: dict[str, tuple[object, ...]] = {
    "basic_encoding": ("raw", "form"),
    "token_format": ("opaque", "jwt"),
}
KEYS = tuple(f.name for f in fields(Profile) if f.name != "name")


class ConfigError(ValueError):
    """A configuration file cannot be used; the message is one sentence that says why."""


ConfigError.__module__ = "mockbroker"


def profile_named(
    name: str, *, config: Path | None = None, directory: Path | None = None
) -> Profile:
    """The profile of that name: from the file, the shipped ones, or the nearest pyproject.toml.

    ``directory`` is where the search for a pyproject.toml begins; the working directory unless
    given. Raises ConfigError if there is no such profile, or a file is bad.
    """
    known = {**PROFILES, **(load_profiles(config) if config else {})}
    if name not in known:
        pyproject = _nearest_pyproject(directory or Path.cwd())
        known |= load_profiles(pyproject) if pyproject else {}
    if name not in known:
        raise ConfigError(f"there is no profile {name!r}; known are {', '.join(known)}")
    return known[name]


def _nearest_pyproject(directory: Path) -> Path | None:
    places = (directory.resolve(), *directory.resolve().parents)
    return next((p / "pyproject.toml" for p in places if (p / "pyproject.toml").is_file()), None)


def load_profiles(path: Path) -> dict[str, Profile]:
    """The profiles that a TOML file describes.

    They stand in tables ``[profiles.NAME]``, in a pyproject.toml in
    ``[tool.mockbroker.profiles.NAME]``. Raises ConfigError if the file cannot be read, is no
    TOML, or describes a profile wrongly.
    """
    document = read_toml(path)
    if path.name == "pyproject.toml":
        document = _table(_table(document, "tool", path), "mockbroker", path)
    tables = _table(document, "profiles", path)
    return {name: _profile(name, table, path) for name, table in tables.items()}


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError if it cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML file: {error}") from error


def _table(document: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {key!r} must be a table")
    return table


def _profile(name: str, table: object, path: Path) -> Profile:
    where = f"{path}, profile {name!r}"
    if name in PROFILES:
        raise ConfigError(f"{where}: a profile of that name ships; choose another name")
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table")
    for key, value in table.items():
        problem = _problem(key, value)
        if problem:
            raise ConfigError(f"{where}: {problem}")
    methods = table.get("client_authentication", ["basic"])
    named = (methods,) if isinstance(methods, str) else tuple(methods)
    return Profile(name=name, **{**table, "client_authentication": named})


def _problem(key: str, value: object) -> str:
    """What is wrong with a key and its value, empty if nothing."""
    if key not in KEYS:
        return f"unknown key {key!r}; known are {', '.join(KEYS)}"
    if key in CHOICES and value not in CHOICES[key]:
        return f"{key} must be {' or '.join(repr(c) for c in CHOICES[key])}, not {value!r}"
    if key == "client_authentication":
        return _authentication_problem(value)
    if key == "expires_in":
        return lifetime_problem(value)
    if key == "scope" and not (isinstance(value, str) or value is False):
        return f"scope must be a text or false, not {value!r}"
    if key in {"token_path", "api_prefix"}:
        return _path_problem(key, value)
    return ""


def _authentication_problem(value: object) -> str:
    known = tuple(dict.fromkeys(method.name for method in METHODS))
    named = value if isinstance(value, list) else [value]
    if named and all(name in known for name in named):
        return ""
    words = " or ".join(map(repr, known))
    return f"client_authentication must be {words}, or a list of them, not {value!r}"


def _path_problem(key: str, value: object) -> str:
    if isinstance(value, str) and value.startswith("/") and not value.endswith("/"):
        return ""
    return f"{key} must be a path that begins and does not end with a slash, not {value!r}"
