"""Programs that know nothing of the environment in which tests run."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

__all__ = ["clean_environment", "environment_with", "environment_with_wheel", "run"]

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


def environment_with_wheel(distributions: Path, folder: Path) -> Path:
    """The programs of a new environment into which nothing but our wheel was installed."""
    (wheel,) = distributions.glob("*.whl")
    return environment_with(wheel, folder=folder)


def environment_with(*requirement: object, folder: Path) -> Path:
    """The programs of a new environment into which pip installed that and nothing else."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "python", "-m", "pip", "install", "-q", *requirement, cwd=folder)
    return programs
