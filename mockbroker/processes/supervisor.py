"""Running a program so that no process of it remains, whichever process ends first.

A supervisor, a small process of its own, starts the program and adopts every process that the
program starts (see `mockbroker.processes.tree`). It ends them all in three cases: the program
ends, this process asks for it, or this process ends. The kernel closes the socket between this
process and the supervisor even after SIGKILL, so the supervisor always sees that end.
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
# Isolated (-I -S): the user's PYTHON* variables and packages must not change the supervisor.
_PYTHON = (sys.executable, "-I", "-S", "-c")
_CODE = (
    "import sys; root, control, grace, *argv = sys.argv[1:]; sys.path.insert(0, root); "
    "from mockbroker.processes.supervisor import supervise; "
    "supervise(int(control), float(grace), argv)"
)
_END_REQUEST = b"."
_ORPHAN_GRACE_SECONDS = 0.2
"""The grace period after this process was killed. SIGKILL asks for a quick end."""


class SupervisedProgram:
    """A program that runs below a supervisor, with the standard streams of the calling process.

    It belongs to the caller's process group, so Ctrl-C and Ctrl-Z reach both. ``environment`` is
    the whole environment, the caller's by default. A process that has not ended ``grace_seconds``
    after SIGTERM is killed. Needs a POSIX system. Raises OSError if the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        grace_seconds: float = 5.0,
    ) -> None:
        self._control, supervisor_end = socket.socketpair()
        with supervisor_end:
            # The descriptor is passed on by its number; the parent's own copy is closed at the end
            # of the block, so that the supervisor's end is seen here, too.
            number = supervisor_end.fileno()
            self._supervisor = subprocess.Popen(  # noqa: S603 - the user's own command
                [*_PYTHON, _CODE, _ROOT, str(number), str(grace_seconds), *argv],
                env=environment,
                pass_fds=[number],
            )
        # Before the first report is awaited: a program may stop its supervisor at once.
        self._start_thread(self._continue_when_stopped)
        self._reports = self._control.makefile("r", encoding="utf-8")
        started = self._next_report()
        if "pid" not in started:
            self._close()
            number = started.get("errno", 0)
            raise OSError(number, os.strerror(number))
        self.pid: int = started["pid"]
        """The process id of the program itself."""
        self.exit_status: Future[int] = Future()
        """The program's exit status as `subprocess` reports it: -N if signal N ended it.

        It is -9 if another program killed the supervisor, because the status is then unknown.
        """
        self._ending: Future[Ending] = Future()
        self._start_thread(self._listen)

    def end(self) -> Ending:
        """End the program and every process that it started; return how they ended.

        Returns once no such process is left. Later calls return the same value. Safe to call from
        any thread.
        """
        with contextlib.suppress(OSError):  # the supervisor has ended already
            self._control.sendall(_END_REQUEST)
        return self._ending.result()

    def _start_thread(self, target: Callable[[], None]) -> None:
        """Start a thread that lasts as long as the supervisor."""
        # Daemons: a program that never ends must not keep this process from ending.
        threading.Thread(target=target, name="mockbroker-supervisor", daemon=True).start()

    def _listen(self) -> None:
        """Wait for the reports on the program's end and on that of its descendants."""
        self.exit_status.set_result(self._next_report().get("exit", -signal.SIGKILL))
        report = self._next_report()
        self._close()
        rows = {name: tuple(Process(**row) for row in rows) for name, rows in report.items()}
        self._ending.set_result(Ending(rows.get("killed", ()), rows.get("left", ())))

    def _continue_when_stopped(self) -> None:
        """Send SIGCONT to the supervisor whenever it is stopped, until it ends.

        Only the program that it runs can have stopped it: no terminal does, because the
        supervisor has a process group of its own. A stopped supervisor would miss the end of the
        program.
        """
        if not hasattr(os, "waitid"):  # macOS has it since Python 3.13
            return
        with contextlib.suppress(ChildProcessError):  # it has ended
            while os.waitid(os.P_PID, self._supervisor.pid, os.WSTOPPED):
                self._supervisor.send_signal(signal.SIGCONT)

    def _next_report(self) -> dict[str, Any]:
        """Return the supervisor's next report; empty if it ended before it could report."""
        # An empty line is the end of the stream: the supervisor was killed before it could report.
        line = self._reports.readline()
        report: dict[str, Any] = json.loads(line) if line else {}
        return report

    def _close(self) -> None:
        """Wait for the supervisor's end and close the socket; called after its last report."""
        # Reaped here, so that no zombie of the supervisor remains.
        self._supervisor.wait()
        self._reports.close()
        self._control.close()


# In the supervisor


def supervise(control: int, grace_seconds: float, argv: Sequence[str]) -> None:
    """Run a program, report its start and end on a socket, and end all that it started.

    ``control`` is the descriptor of the socket. The reports are lines of JSON.
    """
    with socket.socket(fileno=control) as control_socket:
        become_subreaper()
        be_signalled_when_parent_ends(signal.SIGCONT)  # the program may have stopped us
        try:
            program = subprocess.Popen(argv)  # noqa: S603 - the user's own command
        except OSError as error:
            # The number, not the message: OSError chooses its subclass by it, such as
            # FileNotFoundError.
            _report(control_socket, errno=error.errno)
            return
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)  # signals of the terminal are for the program and for our parent
        _report(control_socket, pid=program.pid)
        running = _Running(program.pid, control_socket)
        is_orphan = running.wait_until_over()
        grace = _ORPHAN_GRACE_SECONDS if is_orphan else grace_seconds
        ending = end_descendants(grace_seconds=grace, reap=running.reap)
        _report(control_socket, **asdict(ending))


class _Running:
    """The running program, and the socket on which its exit status is reported."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self._pid = pid
        self._control = control
        self._is_over = False

    def reap(self) -> None:
        """Reap every child that has ended, adopted ones included; report the program's end."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._is_over = True
                    _report(self._control, exit=os.waitstatus_to_exitcode(ended[1]))

    def wait_until_over(self) -> bool:
        """Wait until the program ends or must be ended; return whether our parent has ended.

        It ends in three ways: the program ends, the socket is readable, or a signal asks for the
        end.
        """
        # A signal handler cannot wake `select` by itself: Python retries it (PEP 475). The wake-up
        # descriptor makes each signal a byte that `select` sees, whenever the signal arrives.
        woken, wake_up = socket.socketpair()
        wake_up.setblocking(False)  # noqa: FBT003 - its one argument
        with woken, wake_up, selectors.DefaultSelector() as selector:
            signal.set_wakeup_fd(wake_up.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGCHLD, *ENDING_SIGNALS):
                # A handler that does nothing: the default action would end the supervisor, and an
                # ignored signal writes no byte to the wake-up descriptor.
                signal.signal(number, lambda _number, _frame: None)
            selector.register(woken, selectors.EVENT_READ)
            selector.register(self._control, selectors.EVENT_READ)
            try:
                return self._wait(selector, woken)
            finally:
                signal.set_wakeup_fd(-1)

    def _wait(self, selector: selectors.BaseSelector, woken: socket.socket) -> bool:
        """Wait for the program's end, a request or a signal; return whether the parent ended."""
        self.reap()  # children that ended before SIGCHLD had a handler
        while not self._is_over:
            ready = [key.fileobj for key, _ in selector.select()]
            if self._control in ready:
                return not self._received_end_request()
            if not frozenset(ENDING_SIGNALS).isdisjoint(woken.recv(64)):
                return False
            self.reap()
        return False

    def _received_end_request(self) -> bool:
        """Return whether the socket has a request; False means that the other end was closed."""
        try:
            return bool(self._control.recv(len(_END_REQUEST)))
        except ConnectionResetError:  # our parent ended and had not read every report
            return False


def _report(control: socket.socket, **facts: Any) -> None:
    """Send one report as a line of JSON, unless the other process has ended."""
    with contextlib.suppress(OSError):  # our parent has ended
        control.sendall(json.dumps(facts).encode() + b"\n")
