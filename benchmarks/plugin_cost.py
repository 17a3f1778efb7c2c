"""What the plugin costs a test run: one that does not use it, and each test that does.

Run it with `python benchmarks/plugin_cost.py`. Each figure is a median of runs that take turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main"]

ROUNDS = 11
TESTS = 500
ALONE = ("-p", "no:cacheprovider", "-p", "pytest_mockbroker.plugin")
WITHOUT = ("-p", "no:cacheprovider")

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
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(code, encoding="utf-8")
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
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


def main() -> None:
    """Measure and print both figures."""
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
    each = (found["broker"] - found["one"] - (found["plain"] - found["unused"])) * 1e6 / TESTS
    print(f"median of {ROUNDS} runs of pytest")
    print(f"a run without the plugin            {without:7.0f} ms")
    print(f"a run that has it and uses it not   {unused:7.0f} ms ({unused / without:.2f}x)")
    print(f"the first use of auth_broker        {start:7.0f} ms more")
    print(f"each test that uses it              {each:7.0f} µs more than one with a plain fixture")


if __name__ == "__main__":
    main()
