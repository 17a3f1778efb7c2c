"""However a command ends, nothing is left: no process, no folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import MARK, left_behind, marked, new_mark

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LEAVES = """
import subprocess
from examples.model_client import make_client as model


def make_client(config):
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM INT HUP; sleep 600"])
    return model(config)
"""
COMMANDS = {
    "check": ["check", "leaves.py"],
    "check --exec": ["check", "--exec", "{python} driver.py"],
}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_left_however_a_check_ends(name, number, tmp_path):
    status, output = signalled(name, number, tmp_path, LEAVES)
    if number != signal.SIGKILL:
        assert list((tmp_path / "tmp").iterdir()) == []
        assert status == 2, output
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        assert report["interrupted"] is True
        assert report["conforms"] is False
    assert "Traceback" not in output


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_left_where_the_client_has_stopped_what_would_end_it(name, tmp_path):
    stops = "    import os, signal\n    os.kill(os.getppid(), signal.SIGSTOP)\n"
    first_line = "def make_client(config):\n"
    signalled(name, signal.SIGKILL, tmp_path, LEAVES.replace(first_line, first_line + stops))


def signalled(name: str, number: int, folder: Path, client: str) -> tuple[int, str]:
    """Send a command a signal once its client is made, and see that nothing of that is left.

    Returns the command's exit status and output; its report is in ``folder``.
    """
    project, temporary = folder / "project", folder / "tmp"
    project.mkdir()
    temporary.mkdir()
    (project / "leaves.py").write_text(client)
    driver = (ROOT / "examples" / "drivers" / "model_client.py").read_text()
    (project / "driver.py").write_text(
        driver.replace(
            "from examples.model_client import TokenError, make_client",
            "from examples.model_client import TokenError\nfrom leaves import make_client",
        )
    )
    mark = new_mark()
    words = [word.replace("{python}", sys.executable) for word in COMMANDS[name]]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", *words, "--json", str(folder / "report.json")],
        cwd=project,
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{project}",
            MARK: mark,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        _wait_for_a_daemon_of(mark)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert not left_behind(mark)
    assert not [path for path in temporary.iterdir() if path.name.startswith("client-")]
    return process.returncode, output


def _wait_for_a_daemon_of(mark: str) -> None:
    for _ in range(600):
        if any("trap" in command for command in marked(mark)):
            return
        time.sleep(0.05)
    raise AssertionError("the client was not made")
