"""Programs that know nothing of the environment in which tests run."""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = [
    "clean_environment",
    "environment_with",
    "environment_with_wheel",
    "made_once",
    "run",
]

_UNWANTED = ("PYTEST", "PYTHON", "COV", "VIRTUAL_ENV", "TOX")


def clean_environment() -> dict[str, str]:
    """The environment variables that concern programs, not these tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED)}


def run(*command: object, cwd: Path, status: int = 0) -> str:
    """The output of a program that has to end with that status."""
    done = subprocess.run(  # noqa: S603 - our own programs
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def made_once(name: str, make: Callable[[Path], None], factory: pytest.TempPathFactory) -> Path:
    """A folder that one worker of pytest-xdist makes, while the others wait for it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # the worker's own folder lies in that of the run
    folder = root / name
    with FileLock(f"{folder}.lock"):
        done = root / f"{name}.done"
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def environment_with_wheel(distributions: Path, name: str, factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment into which nothing but our wheel was installed."""
    (wheel,) = distributions.glob("*.whl")
    return environment_with(wheel, name=name, factory=factory)


def environment_with(*requirement: object, name: str, factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment into which pip installed that and nothing else."""
    programs = "Scripts" if os.name == "nt" else "bin"

    def make(folder: Path) -> None:
        venv.create(folder, with_pip=True)
        python = folder / programs / "python"
        run(python, "-m", "pip", "install", "-q", *requirement, cwd=folder)

    return made_once(name, make, factory) / programs
