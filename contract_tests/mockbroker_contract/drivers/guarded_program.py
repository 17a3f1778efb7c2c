"""Supervisor of a driver program: starts it and ends all of its processes.

It is a small process between the judging process and the program. It guards the program's writes
and adopts orphaned processes of the program. It kills all of them when the program ends, on
command, or when the judging process has ended. The program's standard streams are inherited.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

from mockbroker.processes.tree import (
    be_signalled_when_parent_ends,
    become_subreaper,
    descendants,
    end_descendants,
)
from mockbroker_contract.drivers.host.guard import restrict_writes
from mockbroker_contract.drivers.removal import remove_tree

__all__ = ["main"]

# The usual capacity of a pipe on Linux (pipe(7)): one read can empty a full one.
_PIECE = 65_536
# The exit status by which shells report a command that exists and cannot be executed.
_CANNOT_EXECUTE = 126
# Signals from a terminal, or to a whole process group. They are meant for the judging process,
# which ends the supervisor in order.
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP")


def main(control: int) -> NoReturn:
    """Run a program until it ends, or until ``control``, a socket, has data or is closed.

    The first line on the socket is a JSON object. ``argv`` and ``environment`` start the program in
    ``folder``. The program may write below ``own``. ``root`` is removed if the judging process ends
    unexpectedly.

    Reports in JSON lines that the program is ``started`` or why it ``failed`` (an errno). Reports
    after its end its ``status`` and how many processes were ``left``.

    The sockets and pipes that connect the three processes are arranged so that the end of any
    process closes one of them. So no process polls, and none remains if another is killed.
    """
    connection = socket.socket(fileno=control)
    order = json.loads(_first_line(connection))
    become_subreaper()
    be_signalled_when_parent_ends(signal.SIGCONT)  # the program may have stopped this process
    # a terminal sends Ctrl-C to every process; the judging process then ends this one
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    woken, waker = os.pipe()
    for end in (woken, waker):
        # set_wakeup_fd() accepts only a descriptor that does not block.
        os.set_blocking(end, False)
    # Python writes to the wakeup descriptor only for signals with a handler. With it select()
    # returns as soon as a child ends.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    pid = _started(connection, order)
    # only the program keeps its streams, so that the judging process sees their end
    for stream in range(3):
        os.close(stream)
    while True:
        ready, _, _ = select.select([connection.fileno(), woken], [], [])
        if connection.fileno() in ready:
            # Data is the order to end; no data means that the judging process has ended without an
            # order.
            is_orphan = not connection.recv(_PIECE)
            end_descendants(grace_seconds=0)
            if is_orphan:  # otherwise the judging process would remove it
                remove_tree(Path(order["root"]))
            os._exit(0)
        if woken in ready:
            os.read(woken, _PIECE)
            _reap(connection, pid)


def _first_line(connection: socket.socket) -> bytes:
    """Read the order; exit if the judging process has ended before it."""
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(_PIECE)
        if not piece:
            os._exit(0)
        line += piece
    return line


def _started(connection: socket.socket, order: dict[str, Any]) -> int:
    """Start the program, report the result, and return its process id; exit if it did not start."""
    # The trick of `subprocess`: pipes of Python are close-on-exec (PEP 446). So an empty read means
    # that exec() succeeded, and any data is the errno of its failure.
    reading, writing = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        # The child must not write to the wakeup pipe of the supervisor.
        signal.set_wakeup_fd(-1)
        _execute(order, writing)
    os.close(writing)
    failure = os.read(reading, _PIECE)
    os.close(reading)
    if failure:
        _report(connection, failed=int(failure))
        os._exit(0)
    _report(connection, started=pid)
    return pid


def _execute(order: dict[str, Any], failure: int) -> NoReturn:  # pragma: no cover - ends by exec
    """Become the program, in a child of the supervisor; write the errno if that fails."""
    os.setsid()  # a program may signal its process group, which must not include the supervisor
    be_signalled_when_parent_ends()
    # exec() keeps ignored signals ignored, and Python itself ignores SIGPIPE and SIGXFSZ.
    for name in (*_IGNORED, "SIGCHLD", "SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.chdir(order["folder"])
        # Landlock survives exec(), so it binds the program and all that it starts. It is applied in
        # the child only: the supervisor must be able to remove the folders.
        restrict_writes([Path(order["own"])])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - the user's own command, without a shell
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    os._exit(_CANNOT_EXECUTE)


def _reap(connection: socket.socket, program: int) -> None:
    """Collect ended children; if the program is one of them, end the others, report, and exit."""
    with contextlib.suppress(ChildProcessError):
        # Signals of the same kind merge, so one SIGCHLD may stand for several children. Orphans
        # that this process has adopted are reaped here as well, or they would remain as zombies.
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid == program:
                # Counted before they are killed: the driver check reports a program that leaves
                # processes behind.
                left = len(descendants(os.getpid()))
                end_descendants(grace_seconds=0)
                _report(connection, status=os.waitstatus_to_exitcode(status), left=left)
                os._exit(0)


def _report(connection: socket.socket, **members: Any) -> None:
    """Send one line to the judging process, if it is still there."""
    with contextlib.suppress(OSError):  # the judging process has ended
        connection.sendall(json.dumps(members).encode() + b"\n")
