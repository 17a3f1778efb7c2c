"""How much memory the processes of a check take together, and the largest of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.check_time import MODEL, ROOT
from benchmarks.results import MeasureSettings, Table

__all__ = ["measure"]

_PROC = Path("/proc")
_INTERVAL_SECONDS = 0.05


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure a check with one process for the clauses, with two, and with the default."""
    rows = [
        (f"`mockbroker check {MODEL}{options}`", *_peaks_of(MODEL, *options.split()), "200")
        for options in ("", " -j 1", " -j 2")
    ]
    columns = ("command", "all processes, MiB", "largest process, MiB", "at most")
    return (Table(columns, tuple(rows)),)


def _peaks_of(*arguments: str) -> tuple[float, float]:
    """Return the highest sum and the largest process of a check, in MiB."""
    command = [sys.executable, "-m", "mockbroker", "check", *arguments]
    total = largest = 0.0
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) as process:
        while process.poll() is None:
            sizes = [_proportional_mib(pid) for pid in _family_of(process.pid)]
            total, largest = max(total, sum(sizes)), max([largest, *sizes])
            time.sleep(_INTERVAL_SECONDS)
    return total, largest


def _family_of(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield pid
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        children = [int(c) for t in threads for c in (t / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from _family_of(child)


def _proportional_mib(pid: int) -> float:
    """Return the memory of a process in MiB; pages that n processes share count 1/n for each."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
