"""The examples that drive a running broker from other languages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "control"
NODE = shutil.which("node")
SHELL_TOOLS = [shutil.which(name) for name in ("bash", "curl", "sed")]


def run(control, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own examples
        command,
        env={**os.environ, "MOCKBROKER_CONTROL": control.broker.control_url},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(NODE is None, reason="Node.js, which runs the suite, is not installed")
def test_a_node_suite_drives_a_client_through_an_outage_and_an_hour(control):
    done = run(control, str(NODE), "--test", str(EXAMPLES / "node" / "outage.test.mjs"))
    assert done.returncode == 0, done.stdout
    assert "# pass 6" in done.stdout


@pytest.mark.skipif(None in SHELL_TOOLS, reason="bash, curl or sed is not installed")
def test_a_shell_script_drives_a_broker_through_an_outage_and_an_hour(control):
    done = run(control, str(SHELL_TOOLS[0]), str(EXAMPLES / "shell" / "outage.sh"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: ") == 8


@pytest.mark.skipif(None in SHELL_TOOLS, reason="bash, curl or sed is not installed")
def test_the_shell_script_notices_what_goes_wrong(control):
    control.broker.agreed_paths = ["/orders"]
    control.broker.reset = lambda: None
    done = run(control, str(SHELL_TOOLS[0]), str(EXAMPLES / "shell" / "outage.sh"))
    assert done.returncode == 1
    assert "a call with the token: expected 200, got 403" in done.stderr
