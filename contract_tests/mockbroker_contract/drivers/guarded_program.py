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

_PIECE = 65_536
_CANNOT_EXECUTE = 126
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP")


def main(control: int) -> NoReturn:
    """Run a program until it ends, or until ``control``, a socket, has data or is closed.

    The first line on the socket is a JSON object. ``argv`` and ``environment`` start the program in
    ``folder``. The program may write below ``own``. ``root`` is removed if the judging process ends
    unexpectedly.

    Reports in JSON lines that the program is ``started`` or why it ``failed`` (an errno). Reports
    after its end its ``status`` and how many processes were ``left``.
    """
    speaker = socket.socket(fileno=control)
    order = json.loads(_first_line(speaker))
    become_subreaper()
    be_signalled_when_parent_ends(signal.SIGCONT)  # the program may have stopped this process
    # a terminal sends Ctrl-C to every process; the judging process then ends this one
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    # Python writes to the wakeup descriptor only for signals with a handler. With it select()
    # returns as soon as a child ends.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    pid = _started(speaker, order)
    # only the program keeps its streams, so that the judging process sees their end
    for stream in range(3):
        os.close(stream)
    while True:
        ready, _, _ = select.select([speaker.fileno(), woken], [], [])
        if speaker.fileno() in ready:
            is_orphan = not speaker.recv(_PIECE)
            end_descendants(grace_seconds=0)
            if is_orphan:  # otherwise the judging process would remove it
                remove_tree(Path(order["root"]))
            os._exit(0)
        if woken in ready:
            os.read(woken, _PIECE)
            _reap(speaker, pid)


def _first_line(speaker: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = speaker.recv(_PIECE)
        if not piece:
            os._exit(0)
        line += piece
    return line


def _started(speaker: socket.socket, order: dict[str, Any]) -> int:
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
        _report(speaker, failed=int(failure))
        os._exit(0)
    _report(speaker, started=pid)
    return pid


def _execute(order: dict[str, Any], failure: int) -> NoReturn:
    os.setsid()  # a program may signal its process group, which must not include the supervisor
    be_signalled_when_parent_ends()
    # exec() keeps ignored signals ignored, and Python itself ignores SIGPIPE and SIGXFSZ.
    for name in (*_IGNORED, "SIGCHLD", "SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.chdir(order["folder"])
        restrict_writes([Path(order["own"])])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - the user's own command, without a shell
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    os._exit(_CANNOT_EXECUTE)


def _reap(speaker: socket.socket, program: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid == program:
                left = len(descendants(os.getpid()))
                end_descendants(grace_seconds=0)
                _report(speaker, status=os.waitstatus_to_exitcode(status), left=left)
                os._exit(0)


def _report(speaker: socket.socket, **members: Any) -> None:
    with contextlib.suppress(OSError):  # the judging process has ended
        speaker.sendall(json.dumps(members).encode() + b"\n")
