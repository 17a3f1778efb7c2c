"""Restriction of `mockbroker check` to one processor, where its threads switch fastest.

Only for a process that is entirely the kit's: a user's pytest process keeps its CPU affinity.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["one_processor"]

_PROCESSOR = 36  # field 39 of proc_pid_stat(5), counted from after the name


@contextlib.contextmanager
def one_processor(worker: int | None = None) -> Iterator[None]:
    """Run the caller, and the threads started in the context, on one processor.

    Client and broker alternate. If each has its own processor, waking the other one takes longer
    than its work. The hosts of the clients are started in the context and inherit the affinity.
    Each ``worker``, numbered from 0, gets another processor. Without a number it is the one on
    which the caller runs, because it was not busy with another run. Checks that workers of
    pytest-xdist start get different ones. Nothing changes on a platform without this feature.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # a container may forbid it
        os.sched_setaffinity(0, {_chosen_from(sorted(allowed), worker)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _chosen_from(allowed: Sequence[int], worker: int | None) -> int:
    if worker is not None:
        return allowed[worker % len(allowed)]
    xdist = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if xdist.isdigit():
        return allowed[int(xdist) % len(allowed)]
    current = _current_processor()
    if current is None or current not in allowed:
        # The process id spreads concurrent runs over the processors where /proc is missing.
        return allowed[os.getpid() % len(allowed)]
    return current


def _current_processor() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        after_the_name = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2]
        return int(after_the_name.split()[_PROCESSOR])
    return None
