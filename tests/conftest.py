"""The distributions, and an environment into which the wheel was installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments import environment_with_wheel, run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def installed(distributions, tmp_path_factory) -> Path:
    """The programs of an environment into which nothing but the wheel was installed."""
    return environment_with_wheel(distributions, tmp_path_factory.mktemp("environment"))
