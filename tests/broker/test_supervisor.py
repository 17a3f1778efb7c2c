"""What a supervisor reports on its socket, and when it ends its program.

`SupervisedProgram` starts it without the packages of the user, where coverage cannot start.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mockbroker.processes.tree import end_tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX processes")

CODE = (
    "import sys; from mockbroker.processes.supervisor import supervise; "
    "supervise(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])"
)
UP = "import signal, sys, time; print('up', flush=True); "
WAITS = f"{UP}time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"


class Supervisor:
    """A supervisor whose socket the test holds."""

    def __init__(self, *argv: str, grace_seconds: float = 5.0) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", CODE, str(number), str(grace_seconds), *argv],
                pass_fds=[number],
                stdout=subprocess.PIPE,
                text=True,
            )
        self.control.settimeout(20)
        self._reports = self.control.makefile("r", encoding="utf-8")

    def report(self) -> Any:
        return json.loads(self._reports.readline())

    def wait_for_program(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def close(self) -> None:
        self._reports.close()
        self.control.close()

    def ended(self) -> int:
        """Wait until the supervisor and every process with its output have ended."""
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture
def supervise() -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def start(*argv: str, **settings: float) -> Supervisor:
        made.append(Supervisor(*argv, **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()
        end_tree(each.process.pid, grace_seconds=0)
        each.process.communicate()


NOTHING_LEFT = {"killed": [], "left": []}


@pytest.mark.parametrize(
    ("end", "status"), [("sys.exit(7)", 7), ("signal.raise_signal(9)", -signal.SIGKILL)]
)
def test_the_exit_status_of_a_program_is_reported(supervise, end, status):
    supervisor = supervise(sys.executable, "-c", UP + end)
    assert supervisor.report()["pid"] != supervisor.process.pid
    assert supervisor.report() == {"exit": status}
    assert supervisor.report() == NOTHING_LEFT
    assert supervisor.ended() == 0


def test_a_program_that_cannot_be_started_is_an_error_number(supervise):
    supervisor = supervise("/no/such/program")
    assert supervisor.report() == {"errno": 2}
    assert supervisor.ended() == 0


def test_a_request_ends_the_program(supervise):
    supervisor = supervise(sys.executable, "-c", WAITS)
    supervisor.wait_for_program()
    assert "pid" in supervisor.report()
    supervisor.control.sendall(b".")
    assert supervisor.report() == {"exit": -signal.SIGTERM}
    assert supervisor.report() == NOTHING_LEFT
    assert supervisor.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_ends_the_program(supervise, number):
    supervisor = supervise(sys.executable, "-c", WAITS)
    supervisor.wait_for_program()
    assert "pid" in supervisor.report()
    supervisor.process.send_signal(number)
    assert supervisor.report() == {"exit": -signal.SIGTERM}
    assert supervisor.report() == NOTHING_LEFT
    assert supervisor.ended() == 0


def test_a_program_that_ignores_the_request_is_killed_and_named(supervise):
    supervisor = supervise(sys.executable, "-c", STUBBORN, grace_seconds=0.05)
    supervisor.wait_for_program()
    pid = supervisor.report()["pid"]
    supervisor.control.sendall(b".")
    assert supervisor.report() == {"exit": -signal.SIGKILL}
    ending = supervisor.report()
    assert [row["pid"] for row in ending["killed"]] == [pid]
    assert ending["left"] == []


@pytest.mark.parametrize("has_read", [True, False])
def test_the_end_of_its_parent_ends_the_program(supervise, has_read):
    """With a report that was not read the socket is reset; without one it just ends."""
    supervisor = supervise(sys.executable, "-c", STUBBORN, grace_seconds=60)
    supervisor.wait_for_program()
    if has_read:
        assert "pid" in supervisor.report()
    supervisor.close()
    assert supervisor.ended() == 0


def test_another_child_that_ends_does_not_end_the_program(supervise):
    """The supervisor adopts it and reaps it, as the end of its output shows."""
    orphan = "import os; r, w = os.pipe()\nif os.fork() == 0:\n    if os.fork(): os._exit(0)\n"
    orphan += "    os.close(r); os._exit(0)\n"
    orphan += "os.wait(); os.close(w); os.read(r, 1)\n" + WAITS
    supervisor = supervise(sys.executable, "-c", orphan)
    supervisor.wait_for_program()
    assert "pid" in supervisor.report()
    supervisor.control.sendall(b".")
    assert supervisor.report() == {"exit": -signal.SIGTERM}
