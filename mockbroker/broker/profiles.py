"""Profiles by name: those that ship, and those that a user describes in a TOML file.

The profile is data. Nothing else in the code depends on a provider's name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from mockbroker.contract.authentication import unknown_method
from mockbroker.model.profile import PROFILES, Profile
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import ReadingError, read

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser under its older name
    import tomli as tomllib

__all__ = ["ConfigError", "load_profiles", "profile_named", "read_toml", "usable_profile"]


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    """The tables of a file of profiles, and of ``[tool.mockbroker]`` in a pyproject.toml.

    The profiles stay unparsed here: their own errors then get the place with the profile's name.
    """

    # msgspec makes a new dict for each instance, so this default is not shared.
    profiles: dict[str, dict[str, Any]] = {}


# A pyproject.toml has tables of other tools, so these two classes accept unknown keys.
class _Tools(msgspec.Struct):
    """The table ``[tool]`` of a pyproject.toml, as far as it concerns this package."""

    mockbroker: _Tables = msgspec.field(default_factory=_Tables)


class _Pyproject(msgspec.Struct):
    """A pyproject.toml, as far as it concerns this package."""

    tool: _Tools = msgspec.field(default_factory=_Tools)


class ConfigError(ValueError):
    """A configuration file or a setting cannot be used; the message says why in one sentence."""


# Tracebacks and documentation show the name under which users import it.
ConfigError.__module__ = "mockbroker"


def usable_profile(profile: str | Profile) -> Profile:
    """Return the profile, or the one of that name, with methods that a broker knows.

    Raises ConfigError if it is unknown or names an unknown client authentication method, and
    TypeError if it is neither a profile nor a name.
    """
    if isinstance(profile, str):
        return profile_named(profile)
    if not isinstance(profile, Profile):
        raise TypeError(f"profile must be a Profile or the name of one, not {profile!r}")
    # The model does not know the methods: they belong to the contract, which imports the model.
    problem = unknown_method(profile)
    if problem:
        raise ConfigError(f"profile {profile.name}: {problem}")
    return profile


def profile_named(
    name: str, *, config: Path | None = None, directory: Path | None = None
) -> Profile:
    """Return the profile of that name.

    It comes from the ``config`` file, the shipped profiles, or the nearest pyproject.toml.

    ``directory`` is where the search for a pyproject.toml begins; the working directory unless
    given. Raises ConfigError if the profile is unknown or a file is invalid.
    """
    known = {**PROFILES, **(load_profiles(config) if config else {})}
    if name not in known:
        # Read only if the name is still unknown: a mistake in a pyproject.toml must not break a run
        # with a shipped profile.
        pyproject = _nearest_pyproject(directory or Path.cwd())
        known |= load_profiles(pyproject) if pyproject else {}
    if name not in known:
        if name.endswith(".toml"):
            raise ConfigError(
                f"unknown profile {name!r}; pass a file with --config (--contract-config in "
                "pytest), and the name of one of its profiles with --profile"
            )
        raise ConfigError(f"unknown profile {name!r}{did_you_mean(name, known)}")
    return known[name]


def _nearest_pyproject(directory: Path) -> Path | None:
    """Return the pyproject.toml in the directory or the nearest one above it; None without one."""
    # The nearest one upwards, as pytest and other tools look for it.
    places = (directory.resolve(), *directory.resolve().parents)
    return next((p / "pyproject.toml" for p in places if (p / "pyproject.toml").is_file()), None)


def load_profiles(path: Path) -> dict[str, Profile]:
    """Return the profiles that a TOML file describes, by name.

    They stand in tables ``[profiles.NAME]``, in a pyproject.toml in
    ``[tool.mockbroker.profiles.NAME]``. Raises ConfigError if the file cannot be read, is not
    valid TOML, or has an invalid profile.
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
        problem = unknown_method(profile)
        if problem:
            raise ConfigError(f"{path}: {'.'.join((*parents, profile.name))}.{problem}")
    return described


def _without_shipped(profiles: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the profiles. Raises ConfigError if one has the name of a profile that ships."""
    # A redefined built-in profile would give another verdict for the same name on two machines.
    for name in profiles:
        if name in PROFILES:
            raise ConfigError(f"{path}: profile {name!r} is built in; choose another name")
    return profiles


def read_toml(path: Path) -> dict[str, Any]:
    """Return the document of a TOML file.

    Raises ConfigError if the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # also for bytes that are not UTF-8, and for endless integers
        raise ConfigError(f"{path} is not a valid TOML file: {error}") from error
