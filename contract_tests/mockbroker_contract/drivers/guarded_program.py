"""Runs a program that drives a client, and ends everything that it has started.

It is a small process between the judging process and the program: it has the program's writes
guarded, adopts what the program leaves behind, and kills all of it when the program ends, when it
is told to, or when the judging process is gone. The program's standard streams are inherited.
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
    """Run a program until it ends, or something comes on ``control``, a socket, or that is closed.

    The first line that comes on it is a JSON object: ``argv``, ``environment``, the ``folder`` in
    which to begin, ``own``, the folder below which the program may write, and ``root``, which is
    removed if the judging process ends without a word. Tells, in JSON lines, that the program is
    ``started`` or why it ``failed`` (an errno), and, once it has ended, its ``status`` and how
    many processes it had ``left``.
    """
    speaker = socket.socket(fileno=control)
    order = json.loads(_first_line(speaker))
    become_subreaper()
    be_signalled_when_parent_ends(signal.SIGCONT)  # the program may have stopped us
    for name in _IGNORED:  # a terminal's Ctrl-C is for the judging process, which then ends us
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    pid = _started(speaker, order)
    for stream in range(3):  # the program's own, whose end the judging process has to see
        os.close(stream)
    while True:
        ready, _, _ = select.select([speaker.fileno(), woken], [], [])
        if speaker.fileno() in ready:
            is_orphan = not speaker.recv(_PIECE)
            end_descendants(grace_seconds=0)
            if is_orphan:  # the judging process would have removed it
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
        signal.set_wakeup_fd(-1)
        _execute(order, writing)
    os.close(writing)
    failure = os.read(reading, _PIECE)
    os.close(reading)
    if failure:
        _tell(speaker, failed=int(failure))
        os._exit(0)
    _tell(speaker, started=pid)
    return pid


def _execute(order: dict[str, Any], failure: int) -> NoReturn:
    os.setsid()  # a program may signal its whole group, which must not be the supervisor's
    be_signalled_when_parent_ends()
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
                _tell(speaker, status=os.waitstatus_to_exitcode(status), left=left)
                os._exit(0)


def _tell(speaker: socket.socket, **members: Any) -> None:
    with contextlib.suppress(OSError):  # the judging process is gone
        speaker.sendall(json.dumps(members).encode() + b"\n")
