"""Running a program so that nothing of it is left behind, whatever ends first.

Between us and the program stands a supervisor, a small process that adopts all that the program
starts (see `mockbroker.processes.tree`). It ends all of it when the program ends, when we ask, and
when we are gone: then the socket between us and it is closed, also after SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mockbroker.processes.signals import ENDING_SIGNALS
from mockbroker.processes.tree import (
    Ending,
    Process,
    be_signalled_when_parent_ends,
    become_subreaper,
    end_descendants,
)

__all__ = ["SupervisedProgram", "supervise"]

_ROOT = str(Path(__file__).parents[2])
# Isolated: PYTHON* variables and packages of the user's concern the program, not the supervisor.
_PYTHON = (sys.executable, "-I", "-S", "-c")
_CODE = (
    "import sys; root, control, grace, *argv = sys.argv[1:]; sys.path.insert(0, root); "
    "from mockbroker.processes.supervisor import supervise; "
    "supervise(int(control), float(grace), argv)"
)
_PLEASE = b"."
_ORPHANS_GRACE_SECONDS = 0.2
"""How long what runs has for ending once we were killed: who does that wants an end of it."""


class SupervisedProgram:
    """A program that runs below a supervisor, with our standard streams and our terminal.

    It belongs to our process group, so Ctrl-C and Ctrl-Z reach it as they reach us.
    ``environment`` is the whole environment, ours by default. What did not end ``grace_seconds``
    after SIGTERM is killed. Needs a POSIX system; raises OSError if the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        grace_seconds: float = 5.0,
    ) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._supervisor = subprocess.Popen(  # noqa: S603 - the user's own command
                [*_PYTHON, _CODE, _ROOT, str(number), str(grace_seconds), *argv],
                env=environment,
                pass_fds=[number],
            )
        self._start_thread(self._keep_going)
        self._reports = self._control.makefile("r", encoding="utf-8")
        started = self._next_report()
        if "pid" not in started:
            self._close()
            number = started.get("errno", 0)
            raise OSError(number, os.strerror(number))
        self.pid: int = started["pid"]
        """The process id of the program itself."""
        self.exit_status: Future[int] = Future()
        """What it ended with, as `subprocess` has it: -N if by signal N.

        -9 if somebody killed the supervisor, for then nobody knows.
        """
        self._ending: Future[Ending] = Future()
        self._start_thread(self._listen)

    def end(self) -> Ending:
        """End all that is left, the program too if it still runs; say how that went.

        Returns when nothing is left. Calling it again says the same; safe from any thread.
        """
        with contextlib.suppress(OSError):  # the supervisor has ended already
            self._control.sendall(_PLEASE)
        return self._ending.result()

    def _start_thread(self, target: Callable[[], None]) -> None:
        threading.Thread(target=target, name="mockbroker-supervisor", daemon=True).start()

    def _listen(self) -> None:
        self.exit_status.set_result(self._next_report().get("exit", -signal.SIGKILL))
        report = self._next_report()
        self._close()
        rows = {name: tuple(Process(**row) for row in rows) for name, rows in report.items()}
        self._ending.set_result(Ending(rows.get("killed", ()), rows.get("left", ())))

    def _keep_going(self) -> None:
        """Have the supervisor go on whenever it is stopped, which only what it runs can want.

        It is in a process group of its own, so no terminal stops it. It has to be awake to see
        that the program ends.
        """
        if not hasattr(os, "waitid"):  # macOS has it since Python 3.13
            return
        with contextlib.suppress(ChildProcessError):  # it has ended
            while os.waitid(os.P_PID, self._supervisor.pid, os.WSTOPPED):
                self._supervisor.send_signal(signal.SIGCONT)

    def _next_report(self) -> dict[str, Any]:
        line = self._reports.readline()
        report: dict[str, Any] = json.loads(line) if line else {}
        return report

    def _close(self) -> None:
        self._supervisor.wait()
        self._reports.close()
        self._control.close()


# In the supervisor


def supervise(control: int, grace_seconds: float, argv: Sequence[str]) -> None:
    """Run a program, tell at the other end of a socket how it goes, and leave nothing behind."""
    with socket.socket(fileno=control) as ours:
        become_subreaper()
        be_signalled_when_parent_ends(signal.SIGCONT)  # the program may have stopped us
        try:
            program = subprocess.Popen(argv)  # noqa: S603 - the user's own command
        except OSError as error:
            _report(ours, errno=error.errno)
            return
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)  # what the terminal says is for the program and for our parent
        _report(ours, pid=program.pid)
        running = _Running(program.pid, ours)
        is_orphan = running.wait_until_over()
        grace = _ORPHANS_GRACE_SECONDS if is_orphan else grace_seconds
        ending = end_descendants(grace_seconds=grace, reap=running.reap)
        _report(ours, **asdict(ending))


class _Running:
    """The program while it runs, and the socket at whose other end it is waited for."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self._pid = pid
        self._control = control
        self._is_over = False

    def reap(self) -> None:
        """Wait for every child that has ended, those that were adopted among them."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._is_over = True
                    _report(self._control, exit=os.waitstatus_to_exitcode(ended[1]))

    def wait_until_over(self) -> bool:
        """Wait until it ends or is to end; return whether because nobody is there any more."""
        woken, wake_up = socket.socketpair()
        wake_up.setblocking(False)  # noqa: FBT003 - its one argument
        with woken, wake_up, selectors.DefaultSelector() as selector:
            signal.set_wakeup_fd(wake_up.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGCHLD, *ENDING_SIGNALS):
                signal.signal(number, lambda _number, _frame: None)
            selector.register(woken, selectors.EVENT_READ)
            selector.register(self._control, selectors.EVENT_READ)
            try:
                return self._wait(selector, woken)
            finally:
                signal.set_wakeup_fd(-1)

    def _wait(self, selector: selectors.BaseSelector, woken: socket.socket) -> bool:
        self.reap()  # what ended before its signal had a handler
        while not self._is_over:
            ready = [key.fileobj for key, _ in selector.select()]
            if self._control in ready:
                return not self._is_asked()
            if not frozenset(ENDING_SIGNALS).isdisjoint(woken.recv(64)):
                return False
            self.reap()
        return False

    def _is_asked(self) -> bool:
        try:
            return bool(self._control.recv(len(_PLEASE)))
        except ConnectionResetError:  # it ended without having read what we reported
            return False


def _report(control: socket.socket, **facts: Any) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more
        control.sendall(json.dumps(facts).encode() + b"\n")
