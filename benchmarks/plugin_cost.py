"""What the plugin costs a test run: one that does not use it, and each test that does.

All runs have pytest find the installed plugins, as every run does, and block all but this one. The
run without the plugin blocks this one as well. Each figure is a median of runs that take turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

from benchmarks.results import MeasureSettings, Table

__all__ = ["measure"]

ROUNDS = 21
TESTS = 500
OWN = "mockbroker"
"""The name of the plugin's entry point."""


def blocking(*names: str) -> tuple[str, ...]:
    """Return the options of pytest that block plugins."""
    return tuple(word for name in ("cacheprovider", *names) for word in ("-p", f"no:{name}"))


OTHERS = tuple(e.name for e in entry_points(group="pytest11") if e.name != OWN)
ALONE = blocking(*OTHERS)
WITHOUT = blocking(*OTHERS, OWN)

ONE_TEST = "def test_it(): pass"
PLAIN = f"""
import pytest

@pytest.fixture
def plain():
    yield object()

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(plain, number): pass
"""
WITH_BROKER = f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(auth_broker, number): pass
"""


def seconds(code: str, arguments: tuple[str, ...]) -> float:
    """How long a run of pytest on that file takes, no other plugins loaded."""
    # With these pytest would compile each module again, or find no plugin.
    unset = ("PYTHONDONTWRITEBYTECODE", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    environment = {name: text for name, text in os.environ.items() if name not in unset}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(code, encoding="utf-8")
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began


def medians(cases: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, float]:
    """The median seconds of each case; the rounds take turns and the first warms up."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUNDS + 1):
        for name, (code, arguments) in cases.items():
            spent = seconds(code, arguments)
            if number:
                times[name].append(spent)
    return {name: statistics.median(spent) for name, spent in times.items()}


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure the runs in turn."""
    found = medians(
        {
            "without": (ONE_TEST, WITHOUT),
            "unused": (ONE_TEST, ALONE),
            "one": (WITH_BROKER.replace(str(TESTS), "1"), ALONE),
            "plain": (PLAIN, ALONE),
            "broker": (WITH_BROKER, ALONE),
        }
    )
    without, unused = found["without"] * 1e3, found["unused"] * 1e3
    start = (found["one"] - found["unused"]) * 1e3
    each = (found["broker"] - found["one"] - (found["plain"] - found["unused"])) * 1e3 / TESTS
    rows: tuple[tuple[str | float, ...], ...] = (
        ("a run without the plugin", without, ""),
        ("a run that has it and does not use it", unused, f"{without * 1.02:.0f}"),
        ("the same, as a multiple of the first", unused / without, "1.02"),
        ("first use of `auth_broker`, more", start, ""),
        ("each test that uses it, more than one with a plain fixture", each, "0.2"),
    )
    return (Table(("run of pytest", "ms", "at most"), rows),)
