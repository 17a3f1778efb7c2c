"""Ending a process and everything that it started, daemons included.

A signal reaches a process or a process group. A program that calls setsid, or forks twice and
lets its parent end, leaves its group, and init adopts what it started. On Linux a *subreaper*
adopts it instead: make the root of a tree one (`become_subreaper`), and everything that descends
from it stays below it for as long as it lives.

What holds where: Linux finds every descendant of a root that lives and is a subreaper; of any
other root, those linked to it by a living parent, a process group or a session. macOS has no
subreapers, so only the second holds there. On Windows `end_tree` ends the root alone.

`mockbroker.processes.supervisor` runs a program below a root of that kind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Ending",
    "Process",
    "be_signalled_when_parent_ends",
    "become_subreaper",
    "descendants",
    "end_descendants",
    "end_tree",
    "end_users_of",
    "reap_all",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILLING_SECONDS = 3.0
_LONGEST_KILLING_SECONDS = 20.0
_SHORTEST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1
_STARTTIME = 22 - 7  # proc_pid_stat(5) counts fields from 1; the first six are taken off before
_PS = ("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,comm=")


@dataclass(frozen=True, slots=True)
class Process:
    """A row of the process table.

    ``started`` tells two processes apart that had the same pid, one after the other. A process
    that has ended and that its parent has not waited for is a zombie: nothing of it runs.
    """

    pid: int
    parent: int
    group: int
    session: int
    is_zombie: bool
    started: str
    name: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a tree ended: who had to be killed, and who is left.

    ``killed`` did not end within the grace period. ``left`` survived SIGKILL, because it belongs
    to another user (sudo) or hangs in the kernel.
    """

    killed: tuple[Process, ...]
    left: tuple[Process, ...]


def become_subreaper() -> bool:
    """Make the calling process adopt its orphaned descendants; return whether that worked.

    It holds for the whole process until it ends; children do not inherit it. The process then
    has to wait for the children it adopts (``os.waitpid(-1, os.WNOHANG)``, or `end_descendants`),
    or they stay as zombies until it ends. False everywhere but on Linux.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_signalled_when_parent_ends(number: int = signal.SIGKILL) -> bool:
    """Have the kernel send the calling process a signal when its parent ends.

    SIGCONT is for a process that has to notice that end, and that another may have stopped.
    Return whether that holds; False everywhere but on Linux. The kernel watches the *thread* that
    started the process: if that thread ends before its process, the signal comes then. If the
    parent may have ended already, compare ``os.getppid()`` with the expected pid afterwards.
    """
    return _prctl(_PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a C library without it
        return False


def descendants(pid: int) -> list[Process]:
    """Everything that a process started and that still runs, without the process itself.

    That is what descends from it by parents, and the members of a process group or session that
    it, or one of those, leads; so its children are found after its end as well.
    """
    return [each for each in _members(_table(), {pid}, _own_line()) if each.pid != pid]


def end_tree(pid: int, *, grace_seconds: float = 5.0) -> Ending:
    """End a process and everything that it started; return when all of it has ended.

    Each gets SIGTERM (and SIGCONT, if it was stopped); what has not ended ``grace_seconds`` later
    is killed. With 0 all is killed at once. The calling process and its ancestors are spared.
    A process that has ended is no error; what is left of its group is ended. The caller still has
    to wait for the root, if that is its child. Safe to call from any thread.
    """
    return _end(pid, grace_seconds, _no_one)


def reap_all() -> None:
    """Wait for every child of the calling process that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants(*, grace_seconds: float = 5.0, reap: Callable[[], None] = reap_all) -> Ending:
    """End all that the calling process started, as `end_tree` does, and wait for all of it.

    For a process whose children are all of this kind: ``reap``, called while they end, takes the
    exit status of each of them, also from a `subprocess.Popen` that has not asked for it.
    """
    ending = _end(os.getpid(), grace_seconds, reap)
    reap()
    return ending


def end_users_of(folder: Path) -> None:
    """Kill what has a folder in its environment or works in it, and wait until it has ended.

    For a tree whose root was killed, so that init adopted what is left of it. The calling
    process and its ancestors are spared. Finds nothing where there is no /proc.
    """
    spared, until = _own_line(), _seconds() + _KILLING_SECONDS
    while _seconds() < until:
        users = [each for each in _table() if not each.is_zombie and _uses(each.pid, folder)]
        found = [each for each in users if each.pid not in spared]
        if not found:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in found:
                _send(each, number)
        time.sleep(_SHORTEST_PAUSE_SECONDS)


def _uses(pid: int, folder: Path) -> bool:
    mark = os.fsencode(folder)
    with contextlib.suppress(OSError):  # it has ended, or belongs to another user
        if os.fsencode(Path(f"/proc/{pid}/cwd").readlink()).startswith(mark):
            return True
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _no_one() -> None:
    """Reap nobody: the children are somebody else's to wait for."""


# Ending


def _end(root: int, grace_seconds: float, reap: Callable[[], None]) -> Ending:
    tree = _Tree(root)
    if grace_seconds > 0:
        for process in tree.alive():
            _send(process, signal.SIGTERM)
            _send(process, signal.SIGCONT)
        if tree.has_ended(grace_seconds, reap):
            return Ending((), ())
    killed: dict[int, Process] = {}
    began, until = _seconds(), _seconds() + _KILLING_SECONDS
    while ((alive := tree.alive()) or tree.has_children()) and _seconds() < until:
        # All are stopped before any is killed: a stopped process starts no other one. The root
        # is killed last: an orphan goes to a subreaper only while that lives.
        tree.stop(alive)
        alive = tree.alive()
        for process in [each for each in alive if each.pid != root] or alive:
            if process.pid not in killed:  # many that start others take their time
                until = min(_seconds(), began + _LONGEST_KILLING_SECONDS) + _KILLING_SECONDS
            killed[process.pid] = process
            _send(process, signal.SIGKILL)
        tree.has_ended(_SHORTEST_PAUSE_SECONDS, reap)
    left = tuple(tree.alive())
    left_pids = {each.pid for each in left}
    return Ending(tuple(p for p in killed.values() if p.pid not in left_pids), left)


class _Tree:
    """A process and what it started, as they come and go.

    A process that ends takes along the link to its children, so each that was seen once is
    looked for from then on.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._spared = _own_line()
        # 0 is the session of all where the system does not tell.
        self._sessions_spared = {0} | {p.session for p in _table() if p.pid in self._spared}
        self._seen: dict[int, str | None] = {root: None}
        """When each was started, by pid; a pid may pass on to a process of somebody else's."""

    def alive(self) -> list[Process]:
        """What has not ended."""
        table = _table()
        now = {each.pid: each.started for each in table}
        seen = {
            pid for pid, started in self._seen.items() if started in (None, now.get(pid, started))
        }
        alive = _members(table, seen, self._spared)
        self._seen.update((each.pid, each.started) for each in alive)
        return alive

    def has_children(self) -> bool:
        """Whether the root, if it is the calling process, has a child that is yet to be reaped.

        To read the process table takes a while, in which what forks and ends at once, again and
        again, is overlooked. The kernel counts every process that a subreaper has adopted.
        """
        if self._root != os.getpid() or not hasattr(os, "waitid"):
            return False
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def stop(self, processes: Collection[Process]) -> None:
        """Stop processes, those of a group that one of the tree leads at one blow.

        Thus a process that forks and ends, again and again, does not slip through.
        """
        leaders = self._seen.keys() - self._spared
        # Its leader may have ended unseen; a group in another session than ours is of the tree.
        groups = {
            each.group
            for each in processes
            if each.group in leaders or each.session not in self._sessions_spared
        }
        for group in groups - {0}:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGSTOP)
        for process in processes:
            if process.group not in groups:
                _send(process, signal.SIGSTOP)

    def has_ended(self, seconds: float, reap: Callable[[], None]) -> bool:
        """Whether all of it ends within some seconds."""
        until, pause = _seconds() + seconds, _SHORTEST_PAUSE_SECONDS
        while True:
            reap()
            if not self.alive() and not self.has_children():
                return True
            if _seconds() >= until:
                return False
            time.sleep(pause)
            # Each look reads the whole process table, which is not to be had for nothing.
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _send(process: Process, number: int) -> None:
    """Send a signal to a process, unless its pid has passed on to another one."""
    with contextlib.suppress(OSError):
        if _still_is(process):
            os.kill(process.pid, number)


def _still_is(process: Process) -> bool:
    if sys.platform != "linux":
        return True
    now = _process_of(process.pid)
    return now is not None and now.started == process.started


def _seconds() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)  # which no test's frozen clock reaches


# The process table


def _members(
    table: Collection[Process], roots: Collection[int], spared: Collection[int]
) -> list[Process]:
    """What belongs to some processes and has not ended, themselves included.

    The group or session of one that is spared does not count: in ``audit … | tee log`` tee is in
    the group that audit leads.
    """
    members, before = set(roots), -1
    while len(members) != before:
        before = len(members)
        leaders = members.difference(spared)
        members.update(
            each.pid
            for each in table
            if each.parent in members or each.group in leaders or each.session in leaders
        )
    return [p for p in table if p.pid in members and p.pid not in spared and not p.is_zombie]


def _own_line() -> set[int]:
    """The calling process and its ancestors."""
    parents = {each.pid: each.parent for each in _table()}
    line, pid = {os.getpid()}, os.getppid()
    while pid and pid not in line:
        line.add(pid)
        pid = parents.get(pid, 0)
    return line


def _table() -> list[Process]:
    if sys.platform == "linux":
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - faster
        rows = map(_process_of, sorted(pids, reverse=True))  # the latest may be gone soonest
        return [row for row in rows if row is not None]
    return [] if sys.platform == "win32" else _listed_by_ps()


def _process_of(pid: int) -> Process | None:
    """The row of one process of Linux, None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    # pid (name) state ppid pgrp session …; a name may hold blanks and brackets itself.
    name, _, rest = stat.partition("(")[2].rpartition(")")
    state, parent, group, session, *others = rest.split()
    return Process(
        pid=pid,
        parent=int(parent),
        group=int(group),
        session=int(session),
        is_zombie=state in "ZX",
        started=others[_STARTTIME],
        name=name,
    )


def _listed_by_ps() -> list[Process]:
    """The process table of macOS and the BSDs, without ps itself; empty if there is no ps."""
    try:
        ps = subprocess.Popen(_PS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
    except OSError:
        return []
    lines = ps.communicate()[0].decode("utf-8", "replace").splitlines()
    rows = ([*line.split(None, 4), ""][:5] for line in lines)
    return [
        Process(
            pid=int(pid),
            parent=int(parent),
            group=int(group),
            session=0,  # macOS does not tell
            is_zombie=state.startswith("Z"),
            started="",
            name=name,
        )
        for pid, parent, group, state, name in rows
        if int(pid) != ps.pid
    ]
