"""Ending a process and everything that it started, daemons included.

A signal reaches a process or a process group. A program that calls setsid leaves its group. If it
forks twice and lets its parent end, init adopts the child. On Linux a *subreaper* adopts it
instead. If the root of a tree is a subreaper (`become_subreaper`), its descendants stay below it
as long as it lives.

On Linux this module finds every descendant of a living root that is a subreaper. Of any other
root it finds the descendants that a living parent, a process group or a session links to it. macOS
has no subreapers, so only the latter holds there. On Windows `end_tree` ends the root alone.

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
_KILL_SECONDS = 3.0
"""How long to keep killing after the last process that was newly found."""
_MAX_KILL_SECONDS = 20.0
"""How long newly found processes can extend the killing."""
_MIN_PAUSE_SECONDS = 0.005
# A pause grows from 5 ms to this. Most trees end at once; others may take their whole grace.
_MAX_PAUSE_SECONDS = 0.1
_STARTTIME = 22 - 7  # proc_pid_stat(5) counts fields from 1; the first six are taken off before
# "=" after each name leaves the heading out.
_PS = ("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,comm=")


@dataclass(frozen=True, slots=True)
class Process:
    """A row of the process table.

    The system reuses pids; ``started`` distinguishes two processes that had the same pid. A
    zombie is a process that has ended and that its parent has not waited for.
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
    """The processes that did not end by themselves when a tree was ended.

    Those in ``killed`` did not end within the grace period. Those in ``left`` survived SIGKILL:
    they belong to another user (sudo), or they hang in the kernel.
    """

    killed: tuple[Process, ...]
    left: tuple[Process, ...]


def become_subreaper() -> bool:
    """Make the calling process adopt its orphaned descendants; return whether that worked.

    This holds for the whole process until it ends; children do not inherit it. The process must
    wait for the children that it adopts (``os.waitpid(-1, os.WNOHANG)``, or `end_descendants`).
    Otherwise they remain as zombies until it ends. Returns False on every system but Linux.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_signalled_when_parent_ends(number: int = signal.SIGKILL) -> bool:
    """Ask the kernel for a signal when the parent of the calling process ends.

    Returns whether that worked; False on every system but Linux. Use SIGCONT for a process that
    must notice the end although another process may have stopped it. The kernel watches the
    *thread* that started the process: the signal comes when that thread ends, even if its process
    lives on. If the parent may have ended already, compare ``os.getppid()`` with the expected pid
    afterwards.
    """
    return _prctl(_PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> bool:
    """Set an option of the calling process; return whether that worked."""
    if sys.platform != "linux":
        return False
    try:
        # Python has no prctl of its own. The C library is that of the process, glibc or musl.
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # pragma: no cover - a C library without prctl
        return False


def descendants(pid: int) -> list[Process]:
    """Return the running processes that a process started, without the process itself.

    These are its descendants, and the members of every process group or session that it or a
    descendant leads. Therefore its children are found after its end as well.
    """
    return [each for each in _members(_table(), {pid}, _own_ancestry()) if each.pid != pid]


def end_tree(pid: int, *, grace_seconds: float = 5.0) -> Ending:
    """End a process and everything that it started; return when all of it has ended.

    Each process gets SIGTERM, and SIGCONT in case it was stopped. Those that have not ended
    ``grace_seconds`` later are killed; 0 kills all at once. The calling process and its ancestors
    are never signalled. If the process has ended already, the rest of its group is ended. The
    caller must still wait for the root if that is its child. Safe to call from any thread.
    """
    return _end(pid, grace_seconds, _reap_none)


def reap_all() -> None:
    """Reap every child of the calling process that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants(*, grace_seconds: float = 5.0, reap: Callable[[], None] = reap_all) -> Ending:
    """End all that the calling process started, as `end_tree` does, and reap all of it.

    Only for a process that needs no exit status of its children: ``reap``, called while they end,
    takes every exit status, even one that a `subprocess.Popen` has not read yet.
    """
    ending = _end(os.getpid(), grace_seconds, reap)
    reap()
    return ending


def end_users_of(folder: Path) -> None:
    """Kill the processes that name a folder in their environment or work in it.

    Returns when all have ended, or after `_KILL_SECONDS`. Use it for a tree whose root was
    killed, so that init adopted the rest. The calling process and its ancestors are never killed.
    Does nothing on systems without /proc.
    """
    protected, until = _own_ancestry(), _seconds() + _KILL_SECONDS
    while _seconds() < until:  # pragma: no branch - only a process that hangs in the kernel stays
        users = [each for each in _table() if not each.is_zombie and _uses(each.pid, folder)]
        found = [each for each in users if each.pid not in protected]
        if not found:
            return
        # All are stopped before any is killed: a stopped process cannot start another one.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in found:
                _send(each, number)
        time.sleep(_MIN_PAUSE_SECONDS)


def _uses(pid: int, folder: Path) -> bool:
    """Return whether a process works in the folder or names it in its environment."""
    mark = os.fsencode(folder)
    with contextlib.suppress(OSError):  # it has ended, or belongs to another user
        if os.fsencode(Path(f"/proc/{pid}/cwd").readlink()).startswith(mark):
            return True
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _reap_none() -> None:
    """Reap no process: the callers of `subprocess` wait for their own children."""


# Ending


def _end(root: int, grace_seconds: float, reap: Callable[[], None]) -> Ending:
    """End a tree: SIGTERM, a grace period, then SIGKILL until no process is left.

    ``reap`` is called while the processes end. Zombies would otherwise stay in the table.
    """
    tree = _Tree(root)
    if grace_seconds > 0:
        for process in tree.alive():
            _send(process, signal.SIGTERM)
            _send(process, signal.SIGCONT)
        if tree.has_ended(grace_seconds, reap):
            return Ending((), ())
    killed: dict[int, Process] = {}
    began, until = _seconds(), _seconds() + _KILL_SECONDS
    while ((alive := tree.alive()) or tree.has_children()) and _seconds() < until:
        # All are stopped before any is killed: a stopped process cannot start another one. The
        # root is killed last: a subreaper adopts orphans only while it lives.
        tree.stop(alive)
        alive = tree.alive()
        for process in [each for each in alive if each.pid != root] or alive:
            # A tree that keeps forking needs more time.
            if process.pid not in killed:  # pragma: no branch - few processes end later than this
                until = min(_seconds(), began + _MAX_KILL_SECONDS) + _KILL_SECONDS
            killed[process.pid] = process
            _send(process, signal.SIGKILL)
        tree.has_ended(_MIN_PAUSE_SECONDS, reap)
    left = tuple(tree.alive())
    left_pids = {each.pid for each in left}
    return Ending(tuple(p for p in killed.values() if p.pid not in left_pids), left)


class _Tree:
    """A process and the processes that it started, observed repeatedly.

    When a process ends, the process table no longer links its children to the root. Therefore
    every process that was seen once is looked for by its pid from then on.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._protected = _own_ancestry()
        # 0 is the session of every process where the system does not report sessions.
        self._protected_sessions = {0} | {p.session for p in _table() if p.pid in self._protected}
        self._seen: dict[int, str | None] = {root: None}
        """When each process started, by pid: the system may reuse a pid for an unrelated one."""

    def alive(self) -> list[Process]:
        """Return the processes that have not ended.

        It also finds processes that were started since the last call.
        """
        table = _table()
        now = {each.pid: each.started for each in table}
        seen = {
            pid for pid, started in self._seen.items() if started in (None, now.get(pid, started))
        }
        alive = _members(table, seen, self._protected)
        self._seen.update((each.pid, each.started) for each in alive)
        return alive

    def has_children(self) -> bool:
        """Return whether the root is the calling process and has a child that is not reaped.

        Reading the process table takes a while. A process that forks and ends at once, again and
        again, can escape it. ``waitid`` cannot miss it: the kernel knows every child, adopted
        children included.
        """
        if self._root != os.getpid() or not hasattr(os, "waitid"):
            return False
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def stop(self, processes: Collection[Process]) -> None:
        """Stop processes; stop all of a process group at once if a process of the tree leads it.

        One signal to a group reaches a process that forks and ends, again and again. Signals to
        single pids would come too late for it.
        """
        leaders = self._seen.keys() - self._protected
        # The leader may have ended before it was seen. A group in a session other than those of
        # our ancestors belongs to the tree.
        groups = {
            each.group
            for each in processes
            if each.group in leaders or each.session not in self._protected_sessions
        }
        for group in groups - {0}:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGSTOP)
        for process in processes:
            if process.group not in groups:
                _send(process, signal.SIGSTOP)

    def has_ended(self, seconds: float, reap: Callable[[], None]) -> bool:
        """Wait until every process has ended, at most so many seconds; return whether all have.

        ``reap`` is called before each look at the process table.
        """
        until, pause = _seconds() + seconds, _MIN_PAUSE_SECONDS
        while True:
            reap()
            if not self.alive() and not self.has_children():
                return True
            if _seconds() >= until:
                return False
            time.sleep(pause)
            # Each check reads the whole process table, which costs processor time.
            pause = min(pause * 1.5, _MAX_PAUSE_SECONDS)


def _send(process: Process, number: int) -> None:
    """Send a signal to a process, unless the system has reused its pid for another one."""
    with contextlib.suppress(OSError):
        # A signal to a reused pid would hit a program of the user's. The check narrows the gap to
        # microseconds; closing it would need pidfds, which macOS lacks.
        if _is_same(process):  # pragma: no branch - the pid is reused within microseconds
            os.kill(process.pid, number)


def _is_same(process: Process) -> bool:
    """Return whether the pid still belongs to the process. Unknown systems count as yes."""
    if sys.platform != "linux":
        return True
    now = _process_of(process.pid)
    return now is not None and now.started == process.started


def _seconds() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)  # libraries that freeze time do not patch it


# The process table


def _members(
    table: Collection[Process], roots: Collection[int], protected: Collection[int]
) -> list[Process]:
    """Return the processes of the trees below ``roots`` that have not ended, roots included.

    The processes in ``protected`` are left out, and the groups and sessions that they lead link no
    process to a tree. In ``audit … | tee log`` tee is in the group that audit leads.
    """
    members, before = set(roots), -1
    while len(members) != before:
        before = len(members)
        leaders = members.difference(protected)
        # Repeated until nothing is added: a process may precede its parent in the table.
        members.update(
            each.pid
            for each in table
            if each.parent in members or each.group in leaders or each.session in leaders
        )
    return [p for p in table if p.pid in members and p.pid not in protected and not p.is_zombie]


def _own_ancestry() -> set[int]:
    """Return the pids of the calling process and its ancestors."""
    parents = {each.pid: each.parent for each in _table()}
    ancestry, pid = {os.getpid()}, os.getppid()
    while pid and pid not in ancestry:
        ancestry.add(pid)
        pid = parents.get(pid, 0)
    return ancestry


def _table() -> list[Process]:
    """Return the process table; empty on Windows."""
    if sys.platform == "linux":
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - faster
        rows = map(_process_of, sorted(pids, reverse=True))  # new processes tend to end first
        return [row for row in rows if row is not None]
    return [] if sys.platform == "win32" else _listed_by_ps()


def _process_of(pid: int) -> Process | None:
    """Return the row of one process on Linux; None if the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    # pid (name) state ppid pgrp session …; the name may contain blanks and brackets.
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
    """Return the process table of macOS and the BSDs, without ps itself.

    It is empty if ps cannot be started.
    """
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
            session=0,  # ps on macOS does not report it
            is_zombie=state.startswith("Z"),
            started="",
            name=name,
        )
        for pid, parent, group, state, name in rows
        if int(pid) != ps.pid
    ]
