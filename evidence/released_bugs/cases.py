"""The cases: a client, the releases of its library, and the bug that some releases have."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evidence.released_bugs.bug_steps import BUG_STEPS
from mockbroker.contract.catalogue import CATALOGUE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BUGGY", "FIXED", "NEWEST", "Bug", "Case", "CaseError", "Release", "read_cases"]

BUGGY, FIXED, NEWEST = "buggy", "fixed", "newest"
_VARIANTS = (BUGGY, FIXED, NEWEST)
_KEYS = {"distribution", "client", "report", "clause", "bug", "step", "glue"}
_BUG_KEYS = {"report", "clause", "bug"}


class CaseError(Exception):
    """An invalid case; the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that users reported, and the clause that a client with it breaks.

    Where a clause can be broken in several ways, ``step`` names the step of `BUG_STEPS` that a
    reproduction of this bug has.
    """

    report: str
    clause: str
    what: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the library of a case; ``requirements`` is the file with its pins."""

    case: str
    variant: str
    requirements: Path

    @property
    def name(self) -> str:
        """The names of the case and the variant."""
        return f"{self.case}-{self.variant}"

    @property
    def version(self) -> str:
        """The version that the first pin names."""
        first = self.requirements.read_text(encoding="utf-8").splitlines()[0]
        return first.partition("==")[2].strip()


@dataclass(frozen=True, slots=True)
class Case:
    """A client of a library, and the releases with which it is checked.

    ``glue`` has the clauses that the client's own code breaks, or that the library leaves to its
    user, each with the reason.
    """

    name: str
    distribution: str
    client: Path
    releases: tuple[Release, ...]
    bug: Bug | None = None
    glue: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def release(self, variant: str) -> Release | None:
        """Return the release of that variant, if the case has it."""
        return next((each for each in self.releases if each.variant == variant), None)


def read_cases(folder: Path) -> tuple[Case, ...]:
    """Return the case of every subfolder that has an about.toml, ordered by name.

    Raises CaseError if a case is invalid.
    """
    return tuple(_read_case(about.parent) for about in sorted(folder.glob("*/about.toml")))


def _read_case(folder: Path) -> Case:
    about = tomllib.loads((folder / "about.toml").read_text(encoding="utf-8"))
    _must_be_known(folder.name, set(about) - _KEYS, "key", _KEYS)
    glue = about.get("glue", {})
    clauses = {clause.id for clause in CATALOGUE}
    named = {about["clause"]} if "clause" in about else set()
    _must_be_known(folder.name, (named | set(glue)) - clauses, "clause", clauses)
    steps = {about["step"]} if "step" in about else set()
    _must_be_known(folder.name, steps - set(BUG_STEPS), "step", set(BUG_STEPS))
    client = (folder / about.get("client", "client.py")).resolve()
    if not client.is_file():
        raise CaseError(f"{folder.name}: the client {str(client)!r} does not exist")
    return Case(
        name=folder.name,
        distribution=about["distribution"],
        client=client,
        releases=_releases(folder),
        bug=_bug(folder, about),
        glue=MappingProxyType(glue),
    )


def _must_be_known(case: str, unknown: set[str], what: str, known: set[str]) -> None:
    if unknown:
        raise CaseError(
            f"{case}/about.toml: no such {what}: {', '.join(sorted(unknown))}; "
            f"expected one of {', '.join(sorted(known))}"
        )


def _releases(folder: Path) -> tuple[Release, ...]:
    found = {variant: folder / f"requirements-{variant}.txt" for variant in _VARIANTS}
    there = {variant: path for variant, path in found.items() if path.is_file()}
    if (BUGGY in there) != (FIXED in there) or not there:
        raise CaseError(
            f"{folder.name}: has requirements of {', '.join(there) or 'nothing'}; "
            f"write those of {BUGGY} and {FIXED}, of {NEWEST}, or of all three"
        )
    return tuple(Release(folder.name, variant, path) for variant, path in there.items())


def _bug(folder: Path, about: Mapping[str, Any]) -> Bug | None:
    if not (folder / f"requirements-{BUGGY}.txt").is_file():
        return None
    missing = _BUG_KEYS - set(about)
    if missing:
        raise CaseError(f"{folder.name}/about.toml lacks {', '.join(sorted(missing))}")
    return Bug(about["report"], about["clause"], about["bug"], about.get("step", ""))
