"""Cost of each runtime dependency: its installed size, and the time to import it.

Sizes are of the distribution's own files, without what it requires itself. An import runs in a new
interpreter; the time of an empty one is subtracted. Times are processor times in milliseconds, as
medians of seven runs.
"""

from __future__ import annotations

import importlib.metadata
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.results import MeasureSettings, Table

__all__ = ["DEPENDENCIES", "import_milliseconds", "measure", "size_kilobytes"]

_RUNS = 7
_MODULES = {"rich": "rich.progress"}
"""The module that is imported, where it is not the package itself."""
DEPENDENCIES = {
    "click": "every command",
    "flask": "a broker",
    "freezegun": "the client's process, in a check",
    "h11": "a broker",
    "hypothesis": "a check",
    "jinja2": "an HTML report",
    "msgspec": "profiles, reports, drivers",
    "pytest": "a check, the fixtures",
    "requests": "the example client",
    "rich": "a check with a terminal",
    "tomlkit": "`--write-known`",
    "trustme": "TLS",
}


def size_kilobytes(distribution: str) -> int:
    """Return the size of a distribution's own files, in units of 1000 bytes."""
    files = importlib.metadata.files(distribution) or ()
    paths = [Path(str(file.locate())) for file in files]
    # A cache of byte code may be listed and not be there.
    return sum(path.stat().st_size for path in paths if path.is_file()) // 1000


def import_milliseconds(module: str) -> float:
    """Return the median processor time to import a module in a new interpreter."""
    return max(0.0, _milliseconds(f"import {module}") - _milliseconds("pass"))


def _milliseconds(program: str) -> float:
    """Return the processor time of an interpreter that runs a program."""
    times = []
    for _ in range(_RUNS):
        before = _used_by_children()
        subprocess.run([sys.executable, "-c", program], check=True)
        times.append((_used_by_children() - before) * 1000)
    return statistics.median(times)


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Return a row for each dependency of the package."""
    rows = tuple(
        (name, use, size_kilobytes(name), import_milliseconds(_MODULES.get(name, name)))
        for name, use in DEPENDENCIES.items()
    )
    return (Table(("dependency", "needed by", "size in kB", "import in ms"), rows),)
