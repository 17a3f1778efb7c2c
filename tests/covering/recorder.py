"""A pytest plugin that records for each test what it executes, and what it costs.

The context of coverage is the test, in its own process and in those that it starts.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

# A process that starts with coverage hands its own settings, with its own context, down to its
# children. Without them children read pyproject.toml, which takes its context from this variable.
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
CONTEXT = "COVERAGE_TEST"
COSTS = Path(os.environ["COVERAGE_FILE"]).with_name("costs.txt")


def processor_seconds() -> float:
    """Return what this process and its children have used. Children count once they have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Record under the name of the test, and append a line with its cost."""
    measured = coverage.Coverage.current()
    assert measured is not None, "run pytest with COVERAGE_PROCESS_START"
    os.environ[CONTEXT] = item.nodeid
    measured.switch_context(item.nodeid)
    before, began = processor_seconds(), time.monotonic()
    try:
        return (yield)
    finally:
        cost, wall = processor_seconds() - before, time.monotonic() - began
        with COSTS.open("a", encoding="utf-8") as costs:
            costs.write(f"{cost:.3f} {wall:.3f} {item.nodeid}\n")
        measured.switch_context("")
        del os.environ[CONTEXT]
