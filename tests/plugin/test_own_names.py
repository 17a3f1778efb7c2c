"""A project may have modules of the same names as our packages: each finds its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.names import PROJECTS, make_project

ROOT = Path(__file__).parents[2]
SCRIPT = (sys.executable, "-c", "from mockbroker.__main__ import main; main()")
MODULE = (sys.executable, "-m", "mockbroker")


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


@pytest.mark.slow
@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_a_client_of_the_project_is_checked(project, command):
    client = (ROOT / "examples" / "model_client.py").read_text(encoding="utf-8")
    (project / "acme.py").write_text(client, encoding="utf-8")
    words = ("check", "acme.py", "--only", "request.method", "--examples", "2")
    done = run(*command, *words, cwd=project, PYTHONPATH=str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", [("clauses", "basic"), ("audit", "--", "true")])
def test_the_other_commands_work(project, words):
    done = run(*MODULE, *words, cwd=project, PYTHONPATH=str(project))
    assert "Traceback" not in done.stderr
    assert done.returncode == (5 if words[0] == "audit" else 0), done.stdout + done.stderr


@pytest.mark.slow
def test_the_contract_is_judged_in_their_run(project):
    client = (ROOT / "examples" / "model_client.py").read_text(encoding="utf-8")
    (project / "acme.py").write_text(client, encoding="utf-8")
    words = ("-m", "pytest", "--pyargs", "mockbroker_contract", "--contract-client", "acme.py")
    done = run(sys.executable, *words, "--contract-only", "request.method", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_fixture_of_the_project_with_our_name_is_theirs(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef auth_broker():\n    return 'theirs'\n"
    )
    (tmp_path / "test_it.py").write_text("def test_it(auth_broker): assert auth_broker == 'theirs'")
    done = run(sys.executable, "-m", "pytest", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
