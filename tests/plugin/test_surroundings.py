"""Checks in odd surroundings: closed streams, full disks, removed folders, odd names."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import MODEL_CLIENT, verdicts

MOCKBROKER = f"{shlex.quote(sys.executable)} -m mockbroker"
MODEL = shlex.quote(str(MODEL_CLIENT))
ONE_CLAUSE = "--only request.method --examples 1"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(["/bin/sh", "-c", script], folder, **environment)


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "closed", ["2>&-", pytest.param(">&-", marks=pytest.mark.slow), "<&- >&- 2>&-"]
)
def test_a_check_needs_no_standard_streams(tmp_path, closed):
    done = shell(f"{MOCKBROKER} check {MODEL} {ONE_CLAUSE} --json a.json {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert verdicts(tmp_path / "a.json")["request.method"] == "passed"
    assert ("NOTHING FAILED" in done.stdout) == (closed == "2>&-")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_report_that_the_terminal_does_not_take_is_an_error_of_its_own(tmp_path):
    done = shell(f"{MOCKBROKER} check {MODEL} {ONE_CLAUSE} --json a.json > /dev/full", tmp_path)
    assert done.returncode == 3
    assert done.stderr == "mockbroker: cannot print the report: No space left on device\n"
    assert verdicts(tmp_path / "a.json")["request.method"] == "passed"


@pytest.mark.parametrize("command", [f"check {MODEL}", "audit -- true"])
def test_a_working_directory_that_is_gone_is_a_usage_error(tmp_path, command):
    done = shell(f"mkdir gone && cd gone && rmdir ../gone && {MOCKBROKER} {command}", tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("mockbroker: the working directory cannot be used: No such file")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["json", "token", "typing"])
def test_a_target_may_have_the_name_of_a_module_of_python(check, pytester, name):
    text = MODEL_CLIENT.read_text(encoding="utf-8")
    # That is where it would hide Python's own.
    (pytester.path / f"{name}.py").write_text(text, encoding="utf-8")
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONSAFEPATH": "1"}
    script = (
        "import sys; sys.path[:] = filter(None, sys.path); "
        "from mockbroker.cli.commands import main; main()"
    )
    arguments = ["check", f"{name}.py", *ONE_CLAUSE.split()]
    done = run([sys.executable, "-c", script, *arguments], pytester.path, **environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("files", "option", "other"),
    [
        ("--json a --html ./a", "--html", "--json"),
        ("--json acme.py", "--json", "the client's file"),
        ("--markdown b --write-known b", "--markdown", "the file of known failures"),
    ],
)
def test_no_report_overwrites_what_the_run_reads_or_writes(tmp_path, files, option, other):
    (tmp_path / "acme.py").write_text("the client", encoding="utf-8")
    done = shell(f"{MOCKBROKER} check acme.py {files}", tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith(f"mockbroker: {option} ")
    assert f"it would overwrite {other}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["acme.py"]
    assert (tmp_path / "acme.py").read_text(encoding="utf-8") == "the client"


def test_no_comparison_overwrites_what_it_compares(tmp_path):
    (tmp_path / "a.json").write_text("a report", encoding="utf-8")
    done = shell(f"{MOCKBROKER} compare a.json b.json --html ./a.json", tmp_path)
    assert done.returncode == 4
    assert "it would overwrite report 1" in done.stderr
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "a report"


@pytest.mark.parametrize("arguments", ["{}.py", f"{MODEL} --json {{}}"])
def test_a_name_that_is_too_long_is_a_usage_error(tmp_path, arguments):
    done = shell(f"{MOCKBROKER} check {arguments.format('x' * 5000)}", tmp_path)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    done = shell(f"ulimit -n 20; {MOCKBROKER} check {MODEL} {ONE_CLAUSE}", tmp_path, TMPDIR=".")
    assert done.returncode == 3
    assert "raise the limit" in done.stdout
    assert list(tmp_path.iterdir()) == []
