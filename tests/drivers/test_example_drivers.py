"""The drivers among the examples are ready, and what they drive gets its verdicts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "examples" / "drivers"
NODE = sorted((DRIVERS / "node").glob("*_*.mjs"))


def told() -> dict[str, dict[str, str]]:
    """For each command of the README, the clauses that do not pass and the verdict on each."""
    text = (ROOT / "docs" / "example-drivers.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `", text, flags=re.MULTILINE)[1:]
    row = re.compile(r"^\| `([a-z.0-9-]+)` \| ([a-z-]+) \|", re.MULTILINE)
    return {part.partition("`")[0]: dict(row.findall(part)) for part in sections}


def argv(command: str) -> list[str]:
    return [sys.executable if word == "python" else word for word in command.split()]


def can_run(command: str) -> bool:
    """Whether what the driver needs is installed here."""
    program = argv(command)[0]
    trial = {"ruby": "require 'oauth2'", "perl": "use LWP::Authen::OAuth2"}.get(program)
    if trial:
        return bool(shutil.which(program)) and _succeeds([program, "-e", trial])
    installed = {"node": "node/node_modules", "java": "java/target/dependency"}.get(program, "")
    programs = [program, "curl", "jq"] if program == "bash" else [program]
    return all(map(shutil.which, programs)) and (DRIVERS / installed).is_dir()


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=[pytest.mark.covers] if command.startswith("python ") else [])
        for command in told()
    ],
)
def test_a_driver_is_ready(command):
    if not can_run(command):
        pytest.skip("what it needs is not installed; `tox -e drivers` installs it")
    done = run("driver-test", "--exec", " ".join(argv(command)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.covers
def test_a_driver_moves_its_clock_gets_tokens_at_once_and_tells_what_it_shows(tmp_path):
    report = tmp_path / "report.json"
    only = "refresh.ahead,cache.thread-safe,cache.single-flight,tls.verify,secrecy.secret"
    driver = " ".join(argv("python examples/drivers/model_client.py"))
    run("check", "--exec", driver, "--only", only, "--examples", "1", "--json", str(report))
    found = json.loads(report.read_text(encoding="utf-8"))
    verdicts = {row["verdict"] for row in found["clauses"] if row["id"] in only.split(",")}
    assert verdicts == {"passed"}
    assert found["measured"]["clock"] == "driver"


@pytest.mark.whole_proof
@pytest.mark.parametrize("command", [command for command in told() if "curl" not in command])
def test_readme_tells_the_verdicts(command, tmp_path):
    if not can_run(command):
        pytest.skip("what it needs is not installed; `tox -e drivers` installs it")
    report = tmp_path / "report.json"
    run("check", "--exec", " ".join(argv(command)), "--examples", "5", "--json", str(report))
    rows = json.loads(report.read_text(encoding="utf-8"))["clauses"]
    # What does not apply to the profile or to a driver says nothing about the client.
    left_out = {"passed", "not-applicable"}
    found = {row["id"]: row["verdict"] for row in rows if row["verdict"] not in left_out}
    assert found == told()[command]


def test_readme_tells_of_every_driver():
    named = {ROOT / command.split()[-1] for command in told()}
    others = ["model_client.py", "curl/driver.sh", "go/driver", "java/Driver.java"]
    others += ["ruby/driver.rb", "perl/driver.pl"]
    assert named == {*NODE, *(DRIVERS / each for each in others)}
