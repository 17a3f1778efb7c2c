"""The virtual environment of each release, kept for the next run."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from evidence.released_bugs.cases import Release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["InstallError", "environment_for"]

_STAMP = "installed.txt"
_LAST_LINES = 15


class InstallError(Exception):
    """A failed installation of a release; the message ends with the output of pip."""


def environment_for(release: Release, root: Path, checkout: Path) -> Path:
    """Return the interpreter of an environment with the release and the checkout, editable.

    Make the environment again if the pins, the project's own requirements or the Python version
    have changed. Raises InstallError if pip fails.
    """
    folder = root / release.name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = folder / _STAMP, _fingerprint(release, checkout)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        _install(python, release, checkout)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _fingerprint(release: Release, checkout: Path) -> str:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = release.requirements.read_text(encoding="utf-8")
    return "\n".join([sys.version, str(checkout), *project["dependencies"], pins])


def _install(python: Path, release: Release, checkout: Path) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--editable", str(checkout), "--requirement", str(release.requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-_LAST_LINES:])
        raise InstallError(f"{release.name} cannot be installed:\n{last}")
