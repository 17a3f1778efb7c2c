"""How long `mockbroker --help` takes, beside what Python and click need."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.results import MeasureSettings, Table

__all__ = ["measure"]

ROUNDS = 15
_COMMANDS = {
    "`python -c pass`": (("-c", "pass"), ""),
    "`python -c 'import click'`": (("-c", "import click"), ""),
    "`mockbroker --help`": (("-m", "mockbroker", "--help"), "250"),
    "`mockbroker check --help`": (("-m", "mockbroker", "check", "--help"), ""),
}


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure the commands in turn."""
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _round in range(ROUNDS):
        for name, (arguments, _target) in _COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            times[name].append((time.perf_counter() - began) * 1000)
    rows = tuple(
        (name, statistics.median(times[name]), wanted) for name, (_, wanted) in _COMMANDS.items()
    )
    return (Table(("command", "ms", "at most"), rows),)
