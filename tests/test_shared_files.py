"""The files by which other tools use the project: an action, a hook, an example of containers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from mockbroker.cli.commands import cli

ROOT = Path(__file__).parents[1]
CONTAINERS = ROOT / "examples" / "containers"


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def run_check_step(folder: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the action that checks a client, as the runner of the action does."""
    step = read("action.yml")["runs"]["steps"][-1]
    assert step["shell"] == "bash"
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TARGET": str(ROOT / "examples" / "model_client.py"),
        "ARGUMENTS": arguments,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(  # noqa: S603 - the project's own action
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_action_checks_the_client_and_writes_the_summary(tmp_path):
    ran = run_check_step(tmp_path, "--only basic.scheme --html 'my report.html'")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Nothing failed in 1 clause" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert (tmp_path / "my report.html").exists()


def test_the_action_runs_nothing_that_its_arguments_say(tmp_path):
    ran = run_check_step(tmp_path, "--only basic.scheme --html '$(touch ran).html'")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "$(touch ran).html").exists()


def test_the_action_fails_with_the_status_of_the_check(tmp_path):
    assert run_check_step(tmp_path, "--only basic.schem").returncode == 4


def test_the_action_puts_no_input_into_a_script():
    action = read("action.yml")
    assert action["runs"]["using"] == "composite"
    named = {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    steps = action["runs"]["steps"]
    assert not any("${{" in step["run"] for step in steps)
    assert named <= {value for step in steps for value in step["env"].values()}


def test_the_hook_names_a_command_that_exists():
    (hook,) = read(".pre-commit-hooks.yaml")
    program, command = shlex.split(hook["entry"])
    assert (program, command, hook["language"]) == ("mockbroker", "check", "python")
    # It judges one client, whatever files a commit changes.
    assert hook["pass_filenames"] is False


def test_the_containers_start_the_broker_with_options_that_exist():
    lines = (CONTAINERS / "Containerfile").read_text(encoding="utf-8").splitlines()
    (entry,) = (line.removeprefix("ENTRYPOINT ") for line in lines if line.startswith("ENTRYPOINT"))
    broker = read("examples/containers/compose.yaml")["services"]["broker"]
    arguments = [*yaml.safe_load(entry)[1:], *broker["command"], "--help"]
    helped = CliRunner().invoke(cli, arguments)
    assert helped.exit_code == 0, helped.output
    assert "--allow-host" in helped.output
    assert (CONTAINERS / broker["build"]["context"]).resolve() == ROOT
    assert (ROOT / broker["build"]["dockerfile"]).is_file()
