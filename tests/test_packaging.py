"""The built distributions work where no checkout is near."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.environments import run
from tests.plugin.names import CLIENTS, PROJECTS, make_project, write_files

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


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
    assert tops == {"mockbroker", "mockbroker_contract", "pytest_mockbroker"}
    for package in tops:
        assert f"{package}/py.typed" in names
    assert {"pytest_mockbroker/check.ini", "mockbroker/report/templates/report.html.jinja"} <= set(
        names
    )


def test_the_sdist_holds_what_the_tests_need(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "tox.ini", "pyproject.toml"} <= names
    assert {"examples/model_client.py", "tests/test_packaging.py", "docs/benchmarks.md"} <= names
    assert "evidence/released_bugs/ro2c-leeway/client.py" in names


def test_the_command_checks_a_client(installed, elsewhere):
    words = ("check", "acme.py", "--examples", "5", "--json", "command.json")
    output = run(installed / "mockbroker", *words, cwd=elsewhere)
    assert "✓ CONFORMS at level MUST" in output
    assert json.loads((elsewhere / "command.json").read_text())["conforms"] is True


def test_pytest_checks_a_client(installed, elsewhere):
    words = (
        "--pyargs",
        "mockbroker_contract",
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
    assert verdicts == {"passed", "not-applicable"}


@pytest.fixture(params=["installed", "installed_editable"])
def programs(request) -> Path:
    """The programs of an environment with the wheel, and of one with an editable install."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_with_modules_named_like_ours_finds_its_own(name, programs, tmp_path):
    make_project(name, tmp_path)
    assert "2 passed" in run(programs / "python", "-m", "pytest", cwd=tmp_path)
    words = ("check", ROOT / "examples" / "model_client.py", "--only", "request.method")
    for command in ([programs / "mockbroker"], [programs / "python", "-m", "mockbroker"]):
        assert "1 passed" in run(*command, *words, "--examples", "2", cwd=tmp_path)


@pytest.mark.parametrize("target", CLIENTS)
def test_a_client_in_a_module_named_like_ours_is_the_one_that_is_checked(
    target, programs, tmp_path
):
    write_files(tmp_path, CLIENTS[target])
    words = ("check", target, "--only", "request.method", "--examples", "1")
    for command in ([programs / "mockbroker"], [programs / "python", "-m", "mockbroker"]):
        assert "because of request.method" in run(*command, *words, cwd=tmp_path, status=1)


def test_the_contract_is_judged_in_a_project_with_all_of_these_names(programs, tmp_path):
    for files in CLIENTS.values():
        write_files(tmp_path, files)
    words = ("--pyargs", "mockbroker_contract", "--contract-client", "contract_tests.acme")
    words += ("--contract-only", "request.method", "--contract-examples", "1")
    output = run(programs / "python", "-m", "pytest", *words, cwd=tmp_path, status=1)
    assert "because of request.method" in output
    module = (programs / "python", "-m", "mockbroker")
    assert "basic.credentials" in run(*module, "clauses", "basic", cwd=tmp_path)
    assert "NOTHING WAS TESTED" in run(*module, "audit", "--", "true", cwd=tmp_path, status=5)
