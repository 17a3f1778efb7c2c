"""Keeping a run on one processor, where its threads hand over to each other soonest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["one_processor"]


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Keep the caller, and the threads begun while the context lasts, on one processor.

    Client and broker take turns; if the other one is asleep on another processor, to wake it up
    takes longer than its turn. Workers of pytest-xdist get different processors. Where a
    platform cannot do it, nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # a container may forbid it
        os.sched_setaffinity(0, {sorted(allowed)[_number_of_this_process() % len(allowed)]})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _number_of_this_process() -> int:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return int(worker) if worker.isdigit() else os.getpid()
