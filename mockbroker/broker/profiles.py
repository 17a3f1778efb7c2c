"""Profiles by name: those that ship, and those that a user describes in a TOML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from mockbroker.contract.authentication import METHODS
from mockbroker.model.profile import PROFILES, Profile
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import ReadingError, read

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser under its older name
    import tomli as tomllib

__all__ = ["ConfigError", "load_profiles", "profile_named", "read_toml"]


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    """What a file of profiles holds, and what our table in a pyproject.toml does."""

    profiles: dict[str, dict[str, Any]] = {}


class _Tools(msgspec.Struct):
    mockbroker: _Tables = msgspec.field(default_factory=_Tables)


class _Pyproject(msgspec.Struct):
    tool: _Tools = msgspec.field(default_factory=_Tools)


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
        raise ConfigError(f"there is no profile {name!r}{did_you_mean(name, known)}")
    return known[name]


def _nearest_pyproject(directory: Path) -> Path | None:
    places = (directory.resolve(), *directory.resolve().parents)
    return next((p / "pyproject.toml" for p in places if (p / "pyproject.toml").is_file()), None)


def load_profiles(path: Path) -> dict[str, Profile]:
    """The profiles that a TOML file describes.

    They stand in tables ``[profiles.NAME]``, in a pyproject.toml in
    ``[tool.mockbroker.profiles.NAME]``. Raises ConfigError if the file cannot be read, is not
    TOML, or describes a profile wrongly.
    """
    document = read_toml(path)
    try:
        if path.name == "pyproject.toml":
            profiles = read(document, _Pyproject, str(path)).tool.mockbroker.profiles
            parents: tuple[str, ...] = ("tool", "mockbroker", "profiles")
        else:
            profiles = read(document, _Tables, str(path)).profiles
            parents = ("profiles",)
        described = {
            name: read(table, Profile, str(path), keys=(*parents, name), given={"name": name})
            for name, table in _without_shipped(profiles, path).items()
        }
    except ReadingError as error:
        raise ConfigError(str(error)) from error
    for profile in described.values():
        _require_known_methods(profile, path)
    return described


def _require_known_methods(profile: Profile, path: Path) -> None:
    known = tuple(dict.fromkeys(method.name for method in METHODS))
    for name in profile.authentication_methods:
        if name not in known:
            raise ConfigError(
                f"{path}, profiles.{profile.name}.client_authentication: there is no method "
                f"{name!r}{did_you_mean(name, known)}"
            )


def _without_shipped(profiles: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the profiles. Raises ConfigError if one has the name of a profile that ships."""
    for name in profiles:
        if name in PROFILES:
            raise ConfigError(f"{path}: profile {name!r} is built in; choose another name")
    return profiles


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # also for bytes that are not UTF-8, and for endless integers
        raise ConfigError(f"{path} is not a valid TOML file: {error}") from error
