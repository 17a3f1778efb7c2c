"""However an audit ends, nothing of it and of its app is left behind.

Every process has its output from the audit: the end of the output is the end of all of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from mockbroker.processes.tree import descendants

GRANDCHILD = ("sh", "-c", "sleep 600 & echo up; sleep 600")
# setsid(1) is not on macOS.
DAEMON = (
    sys.executable,
    "-c",
    """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    print("up", flush=True)
time.sleep(600)
""",
)
STUBBORN = (
    sys.executable,
    "-c",
    """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
""",
)
APPS = {"grandchild": GRANDCHILD, "stubborn": STUBBORN}
if sys.platform == "linux":
    APPS["daemon"] = DAEMON
SLOW = {"stubborn": pytest.mark.slow}
"""What is waited for before it is killed."""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of ours whose temporary files are in ``folder / tmp``."""
    (folder / "tmp").mkdir()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "TMPDIR": str(folder / "tmp")},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    while words not in text:
        line = process.stdout.readline()
        assert line, text
        text += line
    return text


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
@pytest.mark.parametrize("app", [pytest.param(app, marks=SLOW.get(app, ())) for app in APPS])
def test_an_app_ends_with_its_audit_and_the_report_is_written(app, number, tmp_path):
    report = tmp_path / "report.json"
    with running(tmp_path, "audit", "--tls", "--json", str(report), "--", *APPS[app]) as audit:
        read_until(audit, "up\n")
        audit.send_signal(number)
        output, _ = audit.communicate()
    assert audit.returncode == 5, output
    assert "NOTHING WAS TESTED" in output
    assert ("was killed: it did not end within 5 s" in output) == (app == "stubborn")
    assert json.loads(report.read_text(encoding="utf-8"))["conforms"] is False
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("app", APPS)
def test_an_app_ends_when_its_audit_is_killed(app, tmp_path):
    with running(tmp_path, "audit", "--", *APPS[app]) as audit:
        read_until(audit, "up\n")
        audit.kill()
        output, _ = audit.communicate()
    assert "Traceback" not in output
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_an_app_ends_with_its_audit_though_the_supervisor_was_killed(tmp_path):
    with running(tmp_path, "audit", "--", *DAEMON) as audit:
        read_until(audit, "up\n")
        (supervisor,) = (each for each in descendants(audit.pid) if each.parent == audit.pid)
        os.kill(supervisor.pid, signal.SIGKILL)
        output, _ = audit.communicate()
    assert audit.returncode == 137, output
    assert "NOTHING WAS TESTED" in output


def test_the_end_of_an_app_is_seen_though_it_has_stopped_the_supervisor(tmp_path):
    with running(tmp_path, "audit", "--", "sh", "-c", "kill -STOP $PPID") as audit:
        output, _ = audit.communicate(timeout=60)
    assert audit.returncode == 5, output
    assert "ended with exit status 0" in output


@pytest.mark.parametrize(
    "app", [pytest.param("stubborn", marks=(pytest.mark.slow, pytest.mark.covers)), "grandchild"]
)
def test_what_an_app_leaves_running_ends_with_it(app, tmp_path):
    parent = (
        "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); "
        "child.stdout.readline()"
    )
    command = (sys.executable, "-c", parent, *APPS[app])
    with running(tmp_path, "audit", "--", *command) as audit:
        output, _ = audit.communicate()
    assert audit.returncode == 5, output
    assert "ended with exit status 0" in output
    assert ("was killed" in output) == (app == "stubborn")


@contextmanager
def on_a_terminal(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """An audit of a command on a terminal of its own, whose keyboard and output this is."""
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "audit", "--", *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread
    )
    os.close(terminal)
    try:
        yield process, keyboard
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def shown_on(keyboard: int, until: str = "") -> str:
    """What a terminal shows, up to some words or to the end of all who have it."""
    text = b""
    with contextlib.suppress(OSError):  # Linux tells the end of a terminal so
        while not until or until.encode() not in text:
            piece = os.read(keyboard, 4096)
            if not piece:
                break
            text += piece
    return text.decode()


def test_the_keys_of_a_terminal_are_for_the_app():
    app = "print('hello, ' + input('who? '))"
    with on_a_terminal(sys.executable, "-c", app) as (audit, keyboard):
        shown_on(keyboard, "who? ")
        os.write(keyboard, b"you\n")
        assert "hello, you" in shown_on(keyboard)
        assert audit.wait() == 5


def test_ctrl_c_lets_an_app_end_in_its_own_way():
    app = """
import time
try:
    print("up")
    time.sleep(600)
except KeyboardInterrupt:
    print("Ctrl-C")
    time.sleep(0.2)  # as pytest does, which prints what it has so far
    print("all said")
"""
    with on_a_terminal(sys.executable, "-uc", app) as (audit, keyboard):
        shown_on(keyboard, "up")
        os.write(keyboard, b"\x03")
        shown = shown_on(keyboard)
        assert audit.wait() == 5
    assert "all said" in shown
    assert "ended with exit status 0" in shown


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_serve_leaves_nothing(number, tmp_path):
    with running(tmp_path, "serve", "--port", "0", "--tls") as serve:
        read_until(serve, "curl")
        serve.send_signal(number)
        output, _ = serve.communicate()
    assert (serve.returncode, output) == (0, "\nstopped after 0 requests\n")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_report_is_written_though_its_terminal_is_gone(tmp_path):
    report = tmp_path / "report.json"
    with running(tmp_path, "audit", "--port", "0", "--json", str(report)) as audit:
        read_until(audit, "curl")
        assert audit.stdout is not None
        audit.stdout.close()
        audit.send_signal(signal.SIGHUP)
        assert audit.wait() == 5
    assert json.loads(report.read_text(encoding="utf-8"))["conforms"] is False


def test_an_ignored_hangup_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does it
    try:
        with running(tmp_path, "serve", "--port", "0") as serve:
            url = re.findall(r"http://\S+", read_until(serve, "curl"))[0]
            serve.send_signal(signal.SIGHUP)
            assert [requests.get(url, timeout=5).status_code for _ in range(2)] == [405, 405]
    finally:
        signal.signal(signal.SIGHUP, before)
