"""The built distributions work where no checkout is near."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path, status: int = 0) -> str:
    """The output of a program that knows nothing of the environment that tests run in."""
    unwanted = ("PYTEST", "PYTHON", "COV", "VIRTUAL_ENV", "TOX")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    done = subprocess.run(  # noqa: S603 - our own programs
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory) -> Path:
    """The programs of an environment into which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = distributions.glob("*.whl")
    run(programs / "python", "-m", "pip", "install", "-q", wheel, cwd=folder)
    return programs


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A folder with nothing in it but a copy of the model client."""
    text = (ROOT / "examples" / "model_client.py").read_text(encoding="utf-8")
    (tmp_path / "acme.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_wheel_holds_the_three_packages_and_nothing_else(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mockbroker", "contract_tests", "pytest_plugin"}
    for package in tops:
        assert f"{package}/py.typed" in names
    assert {"pytest_plugin/check.ini", "pytest_plugin/templates/report.html.jinja"} <= set(names)


def test_the_sdist_holds_what_the_tests_need(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "tox.ini", "pyproject.toml"} <= names
    assert {"examples/model_client.py", "tests/test_packaging.py", "docs/benchmarks.md"} <= names
    assert "released_bugs/ro2c-leeway/client.py" in names


def test_the_command_checks_a_client(installed, elsewhere):
    words = ("check", "acme.py", "--examples", "5", "--json", "command.json")
    output = run(installed / "mockbroker", *words, cwd=elsewhere)
    assert "✓ CONFORMS at level MUST" in output
    assert json.loads((elsewhere / "command.json").read_text())["conforms"] is True


def test_pytest_checks_a_client(installed, elsewhere):
    words = (
        "--pyargs",
        "contract_tests",
        "--contract-client",
        "acme.py",
        "--contract-examples",
        "5",
        "--contract-json",
        "a.json",
    )
    output = run(installed / "python", "-m", "pytest", *words, cwd=elsewhere)
    assert "CONFORMS at level MUST" in output
    report = json.loads((elsewhere / "a.json").read_text())
    verdicts = {row["verdict"] for row in report["clauses"]}
    assert verdicts == {"passed"}
