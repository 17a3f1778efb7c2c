"""Profiles by name: those that ship, and those that a user describes in a TOML file.

The profile is data. Nothing else in the code depends on a provider's name.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Union, cast

import msgspec

from mockbroker.contract.authentication import unknown_method
from mockbroker.model.profile import AUTOGRAB, PROFILES, Profile
from mockbroker.model.type_words import TOML, listed
from mockbroker.model.typed_reading import ReadingError, read

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser under its older name
    import tomli as tomllib

__all__ = [
    "ConfigError",
    "load_profiles",
    "own_profiles",
    "problems_in",
    "profile_named",
    "read_toml",
    "shipped_names",
    "shipped_profile",
    "usable_profile",
]

_SHIPPED = Path(__file__).parents[1] / "shipped_profiles"
"""The folder of the profiles that ship: a TOML file for each, with the keys of `Profile`."""


_PROFILE_FIELDS = frozenset(each.name for each in fields(cast("Any", Profile)))


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    """The tables of a file of profiles, and of ``[tool.mockbroker]`` in a pyproject.toml.

    The profiles stay unparsed here: their own errors then get the place with the profile's name.
    """

    # The name of the project's profile, empty for the default. A table of this name is a mistake
    # for ``profiles``; it is accepted here, so that the message can name that.
    profile: Annotated[Union[str, dict[str, Any]], msgspec.Meta(description="a string")] = ""
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
    """Return the profile of that name; the project's own default for an empty name.

    It comes from the ``config`` file, the shipped profiles, or the nearest pyproject.toml. The
    default is the ``profile`` that the config file, or else that pyproject.toml, names, or
    ``autograb``.

    ``directory`` is where the search for a pyproject.toml begins; the working directory unless
    given. Raises ConfigError if the profile is unknown or a file is invalid.
    """
    if not name:
        return _project_profile(config, directory)
    own = load_profiles(config) if config else {}
    if name in own:
        return own[name]
    shipped = shipped_profile(name)
    if shipped is not None:
        return shipped
    # Read only if the name is still unknown: a mistake in a pyproject.toml must not break a run
    # with a shipped profile.
    pyproject = _nearest_pyproject(directory or Path.cwd())
    own |= load_profiles(pyproject) if pyproject else {}
    if name not in own:
        if name.endswith(".toml"):
            raise ConfigError(
                f"unknown profile {name!r}; pass a file with --config (--contract-config in "
                "pytest), and the name of one of its profiles with --profile"
            )
        raise ConfigError(f"unknown profile {name!r}{_nearest(name, own)}")
    return own[name]


def _nearest(name: str, own: Iterable[str]) -> str:
    """Return the end of a message on an unknown profile, given the names that a file describes."""
    near = difflib.get_close_matches(name, (*shipped_names(), *own), n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    # Those that ship are too many for a message.
    described = listed(own)
    return "; `mockbroker profiles` lists those that ship" + (
        f", and the file describes {described}" if described else ""
    )


def _project_profile(config: Path | None, directory: Path | None) -> Profile:
    """Return the profile that a project has set as its own; see `profile_named`."""
    for path in (config, _nearest_pyproject(directory or Path.cwd())):
        name = _tables_of(path)[0].profile if path else ""
        if path and isinstance(name, str) and name:
            try:
                return profile_named(name, config=config, directory=directory)
            except ConfigError as error:
                place = ".".join((*_tables_of(path)[1], "profile"))
                raise ConfigError(f"{path}: {place}: {error}") from error
    return AUTOGRAB


def shipped_names() -> tuple[str, ...]:
    """Return the names of the profiles that ship, in alphabetical order."""
    return tuple(sorted({*PROFILES, *(file.stem for file in _SHIPPED.glob("*.toml"))}))


# A file is read once in a process, and only if its profile is asked for.
@lru_cache(maxsize=256)
def shipped_profile(name: str) -> Profile | None:
    """Return the profile of that name that ships, or None."""
    if name in PROFILES:
        return PROFILES[name]
    # Looked up among the names, because a name may hold the parts of another path.
    if name not in shipped_names():
        return None
    path = _SHIPPED / f"{name}.toml"
    return _ProfilesOfFile({name: read_toml(path)}, path, ()).profile(name)


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
    described = _described_in(path)
    return {name: described.profile(name) for name in described.names}


def problems_in(path: Path) -> tuple[dict[str, Profile], tuple[str, ...]]:
    """Return the right profiles of a file by name, and a sentence on each wrong one.

    Raises ConfigError as `load_profiles`, but for an invalid profile.
    """
    described = _described_in(path)
    right: dict[str, Profile] = {}
    problems: dict[str, None] = {}  # two profiles may fail for the one that both extend
    for name in described.names:
        try:
            right[name] = described.profile(name)
        except ConfigError as error:  # noqa: PERF203 - all wrong profiles are named
            problems[str(error)] = None
    return right, tuple(problems)


def _tables_of(path: Path) -> tuple[_Tables, tuple[str, ...]]:
    """Return the tables of a file, and the keys that lead to them. Raises ConfigError."""
    document = read_toml(path)
    misplaced = [name for name in document if name in _PROFILE_FIELDS]
    if misplaced and path.name != "pyproject.toml":
        raise ConfigError(
            f"{path}: {misplaced[0]!r} is a field of a profile; write it below [profiles.NAME]"
        )
    try:
        if path.name == "pyproject.toml":
            keys: tuple[str, ...] = ("tool", "mockbroker")
            tables = read(document, _Pyproject, str(path)).tool.mockbroker
        else:
            keys = ()
            tables = read(document, _Tables, str(path))
    except ReadingError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(tables.profile, str):
        where = ": ".join(filter(None, (str(path), ".".join(keys))))
        raise ConfigError(f"{where}: unknown table 'profile'; did you mean 'profiles'?")
    return tables, keys


def _described_in(path: Path) -> _ProfilesOfFile:
    """Return the profiles of a file, unread. Raises ConfigError."""
    tables, parents = _tables_of(path)
    profiles = tables.profiles
    # A redefined built-in profile would give another verdict for the same name on two machines.
    shipped = [name for name in profiles if name in shipped_names()]
    if shipped:
        raise ConfigError(f"{path}: profile {shipped[0]!r} is built in; choose another name")
    return _ProfilesOfFile(profiles, path, (*parents, "profiles"))


class _ProfilesOfFile:
    """The profiles of one file as they are written, each read with those that it extends."""

    def __init__(
        self, tables: Mapping[str, dict[str, Any]], path: Path, parents: tuple[str, ...]
    ) -> None:
        self._tables = tables
        self._path = path
        self._parents = parents
        self._read: dict[str, Profile] = {}
        self.names = tuple(tables)

    def profile(self, name: str, extending: tuple[str, ...] = ()) -> Profile:
        """Return the profile of that name. Raises ConfigError if it is invalid.

        ``extending`` are the names of the profiles that extend it, the outermost first.
        """
        if name not in self._read:
            self._read[name] = self._made(name, extending)
        return self._read[name]

    def _made(self, name: str, extending: tuple[str, ...]) -> Profile:
        """Read a profile, and those that it extends."""
        # The table of a shipped profile is its whole file, without a name before its keys.
        keys = (*self._parents, name) if self._parents else ()
        table = self._tables[name]
        try:
            base = self._base(table.get("extends"), (*extending, name), keys)
            merged = table if base is None else _extended(base, table)
            profile = read(merged, Profile, str(self._path), keys=keys, given={"name": name})
        except ReadingError as error:
            raise ConfigError(str(error)) from error
        problem = unknown_method(profile)
        if problem:
            raise ConfigError(f"{self._path}: {'.'.join((*keys, problem))}")
        return profile

    def _base(
        self, base: object, extending: tuple[str, ...], keys: tuple[str, ...]
    ) -> Profile | None:
        """Return the profile that another one extends; None if it extends none."""
        place = f"{self._path}: {'.'.join((*keys, 'extends'))}"
        if base is None:
            return None
        if not isinstance(base, str):
            raise ConfigError(f"{place}: expected the name of a profile, got {TOML.of_value(base)}")
        if base in extending:
            circle = " extends ".join((*extending, base))
            raise ConfigError(f"{place}: profiles extend each other in a circle: {circle}")
        if base in self._tables:
            return self.profile(base, extending)
        shipped = shipped_profile(base)
        if shipped is None:
            own = [each for each in self._tables if each != extending[-1]]
            raise ConfigError(f"{place}: unknown profile {base!r}{_nearest(base, own)}")
        return shipped


def _extended(base: Profile, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a profile that extends another one."""
    inherited = asdict(base)
    # The title is that of another provider.
    del inherited["name"], inherited["title"]
    # The page of a fact that this profile has otherwise is not its source.
    inherited["sources"] = [
        {**source, "fields": kept}
        for source in inherited["sources"]
        if (kept := [each for each in source["fields"] if not _has(table, each)])
    ]
    merged = _merged(inherited, table)
    own = table.get("sources", [])
    if isinstance(own, list):
        # Its own first, so that a message on one of them has the index that it has in the file.
        merged["sources"] = [*own, *inherited["sources"]]
    return merged


def _has(table: Mapping[str, Any], path: str) -> bool:
    """Return whether a table has a value of its own for a name such as ``answer.paths``."""
    value: object = table
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with the changes, tables within them merged as well."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def own_profiles(config: Path | None) -> dict[str, Profile]:
    """Return the profiles of a config file, or else of the nearest pyproject.toml, by name."""
    path = config or _nearest_pyproject(Path.cwd())
    return load_profiles(path) if path else {}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the document of a TOML file.

    Raises ConfigError if the file cannot be read or is not valid TOML.
    """
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not allow.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # also for bytes that are not UTF-8, and for endless integers
        raise ConfigError(f"{path} is not a valid TOML file: {error}") from error
