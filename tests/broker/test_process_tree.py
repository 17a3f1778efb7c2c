"""Trees of real processes, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mockbroker.processes.tree import descendants, end_tree, end_users_of

START = """
import json, os, signal, subprocess, sys, time
from mockbroker.processes.tree import *

def tell(**facts):
    print(json.dumps(facts), flush=True)

def child(code, **how):
    return subprocess.Popen([sys.executable, "-c", "import os, signal, time\\n" + code], **how)
"""
SLEEP = "time.sleep(600)"
# What a service does: a child in a session of its own starts the daemon and ends.
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    print('{"daemon": %d}' % os.getpid(), flush=True)
    time.sleep(600)
os.wait()
"""
STUBBORN = """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print('{"stubborn": %d}' % os.getpid(), flush=True)
time.sleep(600)
"""


class Root:
    """The root of a tree, in a session of its own."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", START + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def heard(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end_of_output(self) -> str:
        """Read on until nobody holds the other end; thus everybody has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read()


@pytest.fixture
def root() -> Iterator[Callable[[str], Root]]:
    roots: list[Root] = []

    def start(code: str) -> Root:
        roots.append(Root(code))
        return roots[-1]

    yield start
    for each in roots:
        end_tree(each.pid, grace_seconds=0)
        each.process.communicate()


def test_a_tree_ends_with_its_grandchildren(root):
    tree = root("child('import subprocess, sys; subprocess.run([\"sleep\", \"600\"])')\n"
                "while len(descendants(os.getpid())) < 2: time.sleep(0.01)\n"
                "tell(); time.sleep(600)")  # fmt: skip
    tree.heard()

    ending = end_tree(tree.pid)

    assert (ending.killed, ending.left) == ((), ())
    assert descendants(tree.pid) == []
    assert tree.end_of_output() == ""
    assert tree.process.wait() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_a_daemon_ends_with_a_root_that_is_a_subreaper(root):
    tree = root(f"tell(is_subreaper=become_subreaper()); child({DAEMON!r}); {SLEEP}")
    assert tree.heard() == {"is_subreaper": True}
    daemon = tree.heard()["daemon"]
    assert os.getsid(daemon) != tree.pid

    ending = end_tree(tree.pid)

    assert ending.left == ()
    assert tree.end_of_output() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
@pytest.mark.parametrize("grace_seconds", [0, 0.2])
def test_a_daemon_of_a_subreaper_that_ignores_signals_is_killed(root, grace_seconds):
    daemon = DAEMON.replace("    time.sleep(600)\n", STUBBORN.replace("\n", "\n    "))
    tree = root(f"become_subreaper(); child({daemon!r}); {SLEEP}")
    pids = {tree.heard()["daemon"], tree.heard()["stubborn"]}

    ending = end_tree(tree.pid, grace_seconds=grace_seconds)

    assert pids <= {each.pid for each in ending.killed}
    assert ending.left == ()
    assert tree.end_of_output() == ""


def test_what_a_group_leader_left_behind_is_found_by_its_group(root):
    tree = root(f"child({SLEEP!r}); tell(); os._exit(7)")
    tree.heard()
    assert tree.process.wait() == 7

    end_tree(tree.pid)

    assert tree.end_of_output() == ""


def test_a_stopped_process_ends_without_being_killed(root):
    tree = root(SLEEP)
    os.kill(tree.pid, signal.SIGSTOP)

    assert end_tree(tree.pid).killed == ()
    assert tree.process.wait() == -signal.SIGTERM


def test_a_process_that_starts_others_for_ever_ends(root):
    forks = "while True:\n    if os.fork(): os._exit(0)\n    print(end='x', flush=True)"
    tree = root(f"become_subreaper(); child({forks!r}); {SLEEP}")
    assert tree.process.stdout is not None
    tree.process.stdout.read(50)

    assert end_tree(tree.pid, grace_seconds=0).left == ()
    tree.end_of_output()


def test_a_process_that_has_ended_is_no_error(root):
    tree = root("")
    tree.process.wait()

    ending = end_tree(tree.pid)

    assert (ending.killed, ending.left) == ((), ())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_its_own_descendants_are_ended_and_waited_for_and_the_caller_goes_on(root):
    tree = root(
        f"become_subreaper(); child({DAEMON!r}); sys.stdin.readline()\n"
        "ending = end_descendants()\n"
        "tell(left=len(ending.left), descendants=len(descendants(os.getpid())))\n"
        "try: os.waitpid(-1, 0)\n"
        "except ChildProcessError: tell(children='none')"
    )
    assert "daemon" in tree.heard()

    tree.go()

    assert tree.heard() == {"left": 0, "descendants": 0}
    assert tree.heard() == {"children": "none"}
    assert tree.end_of_output() == ""


def test_the_rest_of_a_pipeline_is_spared(root):
    # As an interactive shell does it: all of a pipeline is in the group of its first process.
    first = "from mockbroker.processes.tree import *; end_descendants(grace_seconds=0)"
    tree = root(
        f"first = child({'input(); ' + first!r}, preexec_fn=os.setpgrp, stdin=subprocess.PIPE)\n"
        f"tee = child({SLEEP!r}, preexec_fn=lambda: os.setpgid(0, first.pid))\n"
        "first.communicate(b'\\n')\n"
        "tell(first=first.returncode, tee=tee.poll())\n"
        "end_descendants()"
    )
    assert tree.heard() == {"first": 0, "tee": None}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_a_process_can_be_made_to_end_with_its_parent(root):
    watcher = (
        "from mockbroker.processes.tree import be_signalled_when_parent_ends\n"
        "be_signalled_when_parent_ends(); print('{}', flush=True); time.sleep(600)"
    )
    tree = root(f"child({watcher!r}); {SLEEP}")
    tree.heard()

    os.kill(tree.pid, signal.SIGKILL)

    assert tree.end_of_output() == ""


def test_without_proc_the_table_is_that_of_ps(root, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    tree = root(f"child({SLEEP!r}); tell(); {SLEEP}")
    tree.heard()

    assert len(descendants(tree.pid)) == 1
    assert end_tree(tree.pid).left == ()
    assert tree.end_of_output() == ""


def test_a_child_that_is_not_reaped_yet_has_not_ended(root):
    tree = root(
        "calls = []\n"
        "def reap():\n"
        "    calls.append(1)\n"
        "    if len(calls) > 2: reap_all()\n"
        "zombie = child('')\n"
        "os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)\n"
        "end_descendants(reap=reap)\n"
        "tell(calls=len(calls))"
    )

    assert tree.heard() == {"calls": 4}  # the third reaps; one more follows the end


def test_without_proc_and_ps_there_is_no_table(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", "")

    assert descendants(os.getppid()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("use", ["works in it", "names it", "neither"])
def test_the_users_of_a_folder_are_killed(root, tmp_path, use):
    folder = {"works in it": f"os.chdir({str(tmp_path)!r}); "}.get(use, "")
    variables = {"names it": f"env={{**os.environ, 'A': '{tmp_path}/a'}}"}.get(use, "")
    user = f"{folder}print('{{}}', flush=True); {SLEEP}"
    tree = root(
        f"user = child({user!r}, {variables})\n"
        "sys.stdin.readline()\n"
        "tell(is_running=user.poll() is None)\n"
        f"{SLEEP}"
    )
    assert tree.heard() == {}

    end_users_of(tmp_path)

    tree.go()
    assert tree.heard() == {"is_running": use == "neither"}
