"""A project may have modules of the same names as our packages: each finds its own.

The commands, in such projects, are tested with a wheel and with an editable install.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.names import PROJECTS, make_project

pytestmark = pytest.mark.alike


@pytest.fixture(params=PROJECTS)
def project(request, tmp_path):
    make_project(request.param, tmp_path)
    return tmp_path


def run(*command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(  # noqa: S603 - our own programs
        command,
        cwd=cwd,
        env={**environment, "PYTHONIOENCODING": "utf-8", **variables},
        input="",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_tests_of_the_project_run_and_so_does_the_fixture(project):
    done = run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=project)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_fixture_of_the_project_with_our_name_is_theirs(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef auth_broker():\n    return 'theirs'\n"
    )
    (tmp_path / "test_it.py").write_text("def test_it(auth_broker): assert auth_broker == 'theirs'")
    done = run(sys.executable, "-m", "pytest", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
