"""Launcher of the host in which the client runs; ends the host and all of its processes.

The launcher is a small process between the judging process and the host. It runs no code of the
client, has one thread, and forks a new host in milliseconds. So a host that hung or crashed is
replaced at once. It adopts the client's orphaned processes and kills them. It removes the client's
folders if the judging process has ended.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mockbroker.model.client import ClientFactory
from mockbroker.processes.tree import (
    be_signalled_when_parent_ends,
    become_subreaper,
    end_descendants,
)
from mockbroker_contract.drivers.host.channel import Channel
from mockbroker_contract.drivers.host.guard import (
    UNGUARDED_CHILDREN,
    UNGUARDED_FOR_COVERAGE,
    WriteGuard,
    restrict_writes,
)
from mockbroker_contract.drivers.host.session import Session
from mockbroker_contract.drivers.removal import remove_tree
from mockbroker_contract.drivers.target import load_target
from mockbroker_contract.isolation.frozen_time import FrozenTime
from mockbroker_contract.isolation.process_state import UMASK
from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["Start", "main", "run_launcher"]

_PIECE = 65_536
# A client that writes without end fails here, long before the disk is full.
_LARGEST_FILE = 1024**3
_BROKEN = 70  # EX_SOFTWARE of sysexits.h
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP")
# Signals that this launcher ignores, that Python itself handles, or that a forked test run may have
# changed.
_RESET = (*_IGNORED, "SIGCHLD", "SIGPIPE", "SIGXFSZ", "SIGALRM", "SIGUSR1", "SIGUSR2")


@dataclass(frozen=True, slots=True)
class Start:
    """Settings of a host: socket of the judging process, clock, folders, environment.

    The client may write in ``own``, and starts in ``work`` below it. ``root`` is removed with its
    contents when the judging process ends unexpectedly.

    Sent as JSON with each command to start a host; the launcher keeps nothing of it but ``root``.
    """

    socket: str
    secret: str
    clock: str
    root: str
    own: str
    work: str
    environment: dict[str, str]


def main(control: int, target: str) -> NoReturn:
    """Run the launcher in a separate process, which `HostProcess` starts.

    ``control`` is the number of an inherited descriptor. Never returns.
    """
    run_launcher(socket.socket(fileno=control), lambda: load_target(target).factory)


def run_launcher(
    control: socket.socket, load: Callable[[], ClientFactory], *, is_forked: bool = False
) -> NoReturn:
    """Start and end hosts on command until ``control`` is closed; then exit.

    ``is_forked`` is True if this process was forked from the judging one, whose exit handlers must
    not run here.

    SIGCHLD and the control socket wake it; it polls nothing. Everything below it is killed without
    a grace period: a host exits by itself on the request bye.
    """
    become_subreaper()
    be_signalled_when_parent_ends(signal.SIGCONT)  # a client may have stopped this process
    # a terminal sends Ctrl-C to every process; the judging process then ends this one
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if is_forked:
        # They belong to the test run: they would remove its temporary files and write its coverage.
        atexit._clear()  # noqa: SLF001 - no public function does it
        _restore_streams_and_hooks()
    try:
        _Launcher(control, load).run()
    finally:
        # A forked launcher has copies of the buffers and exit handlers of the judging process.
        os._exit(0)


def _restore_streams_and_hooks() -> None:
    """Undo a test runner's changes of the process from which this one was forked."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it stays open
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    sys.breakpointhook = sys.__breakpointhook__
    sys.modules.pop("pdb", None)  # pytest has replaced its set_trace


class _Launcher:
    """Loop of the launcher: commands on a socket, and the ends of its children."""

    def __init__(self, control: socket.socket, load: Callable[[], ClientFactory]) -> None:
        self._control = control
        self._load = load
        self._host = 0
        self._root = ""

    def run(self) -> None:
        """Execute commands until the judging process closes its end; then end everything."""
        woken, waker = os.pipe()
        for end in (woken, waker):
            os.set_blocking(end, False)
        # Python writes to the wakeup descriptor only for signals with a handler. With it select()
        # returns as soon as a child ends.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        _prepare_forks()
        rest = b""
        while True:
            ready, _, _ = select.select([self._control.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, _PIECE)
                # Orphans of the client are reaped as well, or they would remain as zombies.
                self._reap()
            if self._control.fileno() in ready:
                piece = self._control.recv(_PIECE)
                if not piece:
                    break
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._execute(json.loads(line))
        end_descendants(grace_seconds=0)
        if self._root:  # the judging process removes it if it ended normally
            remove_tree(Path(self._root))

    def _execute(self, command: dict[str, Any]) -> None:
        """End the running host; start another one if the command says so; report which."""
        if self._host:
            self._host = 0
            end_descendants(grace_seconds=0)
        if "start" not in command:
            self._report(killed=True)
            return
        start = Start(**command["start"])
        self._root = start.root
        self._host = os.fork()
        if self._host == 0:
            try:
                # The host must neither hold the control socket open nor write to the wakeup pipe.
                self._control.close()
                signal.set_wakeup_fd(-1)
                _run_host(start, self._load)
            except BaseException:  # noqa: BLE001 - a child must not continue as the launcher
                traceback.print_exc()
            os._exit(_BROKEN)
        self._report(started=self._host)

    def _reap(self) -> None:
        """Collect ended children; if the host is one of them, end the others and report."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid == self._host:
                    self._host = 0
                    end_descendants(grace_seconds=0)
                    self._report(ended=pid, status=os.waitstatus_to_exitcode(status))

    def _report(self, **members: Any) -> None:
        """Send one line to the judging process, if it is still there."""
        with contextlib.suppress(OSError):  # the next recv in run() sees the closed socket
            self._control.sendall(json.dumps(members).encode() + b"\n")


def _prepare_forks() -> None:
    """Do what each host would do by itself, so that hosts start faster and share more memory."""
    # freezegun reads every attribute of every module, and remembers which of them are times.
    time = FrozenTime(lambda: 0)
    time.freeze()
    time.thaw()
    # A collection of garbage writes into each object that it visits. Hosts share the memory of
    # frozen objects, which no collection visits.
    gc.collect()
    gc.freeze()


def _run_host(start: Start, load: Callable[[], ClientFactory]) -> NoReturn:
    """Turn this process into the host: enter the folders, install the guard, answer requests.

    The guard comes last, because it also forbids this process to open the clock for writing. No
    code of the client runs here before it.
    """
    os.setsid()  # a client may signal its process group, which must not include the launcher
    be_signalled_when_parent_ends()
    for name in _RESET:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # Python's default at start
    # Not passed to exec, because a forked host has the environment of the test run already.
    os.environ.clear()
    os.environ.update(start.environment)
    warnings.simplefilter("ignore")  # a user's "-W error" would turn warnings into exceptions
    # The variable PYTHONDONTWRITEBYTECODE is read at the start of an interpreter only, and this
    # process was forked.
    sys.dont_write_bytecode = True
    _bound_resources()
    os.umask(UMASK)
    os.chdir(start.work)
    # Opened before the guard is in force, as the files lie outside of the client's folders.
    clock = SharedClock(Path(start.clock), is_host=True)
    channel = Channel(start.socket, start.secret)
    limits = _guard(Path(start.own))
    with contextlib.suppress(OSError):  # the judging process has ended
        Session(channel, load, clock, Path(start.work), limits).serve()
    channel.close()
    with contextlib.suppress(BaseException):  # exit handlers of the client may fail
        atexit._run_exitfuncs()  # noqa: SLF001 - os._exit runs none
    os._exit(0)


def _bound_resources() -> None:
    """Limit resources, so that a client that takes too much fails before the machine does."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    bound = _LARGEST_FILE if hard == resource.RLIM_INFINITY else min(_LARGEST_FILE, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bound, hard))
    # A core dump would have secrets and tokens in it, and is large.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError):  # if memory runs out, Linux ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _guard(own: Path) -> list[str]:
    """Guard the client's writes; return in sentences which guarantees do not hold."""
    prefix = _coverage_files()
    WriteGuard([own], lambda path: bool(prefix) and path.startswith(prefix)).install()
    if prefix:  # coverage writes files beside the project, and Landlock allows whole folders only
        return [UNGUARDED_FOR_COVERAGE]
    return [] if restrict_writes([own]) else [UNGUARDED_CHILDREN]


def _coverage_files() -> str:
    """Return the prefix of coverage's data files; empty if coverage is not measuring."""
    coverage = sys.modules.get("coverage")
    if coverage is None:
        return ""
    # The client's coverage is measured if it was started with the interpreter, by a .pth file, or
    # before the fork.
    current = coverage.Coverage.current()
    return str(Path(current.get_data().base_filename()).absolute()) if current else ""
