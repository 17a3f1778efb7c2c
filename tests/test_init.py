"""`mockbroker init` writes a file that a check accepts, and says what to run next."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mockbroker.cli.init import init
from mockbroker.cli.starting_files import STARTING_FILES, choose

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "mockbroker" / "cli" / "templates"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_init(*arguments: str) -> Result:
    return CliRunner().invoke(init, arguments)


def check(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "check", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, "requests"),
        ({"requirements.txt": "httpx>=0.27\n"}, "httpx"),
        ({"requirements.txt": "Requests[socks]==2.31\nhttpx\n"}, "requests"),
        ({"requirements.txt": "requests-mock\nhttpx-auth\n"}, "class"),
        ({"pyproject.toml": '[project]\ndependencies = ["flask", "httpx>=0.27"]\n'}, "httpx"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\nhttpx = "^0.27"\n'}, "httpx"),
        ({"pyproject.toml": '[project]\ndescription = "it requests tokens"\n'}, "class"),
        ({"setup.cfg": "[options]\ninstall_requires =\n    requests\n"}, "requests"),
        ({"package.json": "{}"}, "node"),
        ({"go.mod": "module x\n"}, "go"),
        ({"pom.xml": "<project/>"}, "java"),
        ({"build.gradle.kts": ""}, "java"),
        ({"package.json": "{}", "requirements.txt": "requests\n"}, "requests"),
    ],
)
def test_the_files_of_a_project_choose(files, kind, project):
    assert choose(files).kind == kind
    for name, text in files.items():
        (project / name).write_text(text)
    result = run_init()
    assert result.exit_code == 0
    assert (project / STARTING_FILES[kind].name).is_file()
    assert f"It is for {kind}, because" in result.output


@pytest.mark.parametrize("kind", STARTING_FILES)
def test_the_output_names_the_next_commands(kind, project):
    result = run_init("--for", kind)
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].startswith("  mockbroker check ")
    assert "because" not in result.output


def test_a_file_that_exists_stays_without_force(project):
    (project / "mockbroker_client.py").write_text("mine")
    result = run_init("--for", "requests")
    assert result.exit_code != 0
    assert result.output == "Error: mockbroker_client.py exists; pass --force to replace it\n"
    assert (project / "mockbroker_client.py").read_text() == "mine"
    assert run_init("--for", "requests", "--force").exit_code == 0
    assert "make_client" in (project / "mockbroker_client.py").read_text()


def test_a_file_that_cannot_be_written_or_read_is_one_sentence(project):
    (project / "mockbroker_driver").write_text("a file")
    assert run_init("--for", "go").output == (
        "Error: mockbroker_driver/main.go exists; move what has its name\n"
    )
    (project / "mockbroker_client.py").mkdir()
    assert run_init("--for", "class", "--force").output == (
        "Error: mockbroker_client.py cannot be written: Is a directory\n"
    )


def test_a_project_file_that_cannot_be_read_is_one_sentence(project, monkeypatch):
    (project / "pyproject.toml").write_text("")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert run_init().output == (
        "Error: pyproject.toml cannot be read: Permission denied; name a client with --for\n"
    )


@pytest.mark.parametrize(
    ("template", "example"),
    [
        ("requests.py.txt", "model_client.py"),
        ("httpx.py.txt", "async_client.py"),
        ("go.txt", "drivers/go/main.go"),
        ("java.txt", "drivers/java/Driver.java"),
    ],
)
def test_a_template_is_the_example_that_is_checked(template, example):
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    assert text == (ROOT / "examples" / example).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["requests", "httpx"])
def test_a_client_conforms_as_it_is_written(kind, project):
    assert run_init("--for", kind).exit_code == 0
    shown = check("mockbroker_client.py", "--examples", "3", cwd=project)
    assert "✓ CONFORMS at level MUST" in shown, shown


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_driver_for_node_conforms_as_it_is_written(project):
    assert run_init("--for", "node").exit_code == 0
    driver = "node mockbroker_driver.mjs"
    check("--exec", driver, "--examples", "3", "--json", "report.json", cwd=project)
    rows = json.loads((project / "report.json").read_text())["clauses"]
    rest = {row["id"]: row["verdict"] for row in rows if row["verdict"] != "passed"}
    # Nothing changes the local time that a Node.js program sees.
    assert rest.pop("refresh.clock-changes") == "not-tested"
    assert set(rest.values()) == {"not-applicable"}


@pytest.mark.slow
def test_a_client_of_ones_own_is_checked_once_the_marked_lines_are_edited(project):
    assert run_init("--for", "class").exit_code == 0
    file = project / "mockbroker_client.py"
    unedited = check("mockbroker_client.py", "--only", "request.grant-type", cwd=project)
    assert "edit the lines below each EDIT in mockbroker_client.py" in unedited
    shutil.copy(ROOT / "examples" / "model_client.py", project / "acme_client.py")
    text = file.read_text()
    text = text.replace("# from acme.tokens import AcmeClient", "import acme_client")
    text = re.sub(r"    raise NotImplementedError.*\n", "", text)
    text = re.sub(
        r"    # return CheckedClient.*",
        "    return CheckedClient(acme_client.make_client(config))",
        text,
    )
    file.write_text(text)
    shown = check("mockbroker_client.py", "--only", "request.grant-type,cache.reuse", cwd=project)
    assert "2 passed" in shown or "2 of 2" in shown, shown
