"""A pytest plugin that records for each test what it reaches, and what it costs.

A test is a context of coverage, in the process of the test and in those that it starts.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

# The name of the test, which `context` in pyproject.toml reads in each process that starts.
CONTEXT = "COVERAGE_TEST"
COSTS = "costs.jsonl"

# Each process reads pyproject.toml again. From its parent it would take the context, too.
os.environ["COVERAGE_PROCESS_START"] = str(Path(__file__).parents[2] / "pyproject.toml")
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def processor_seconds() -> float:
    """Return what this process and its children have used. A child counts once it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Record under the name of the test, and append a line with its cost."""
    measured = coverage.Coverage.current()
    assert measured is not None, "start pytest by `coverage run -m pytest`"
    os.environ[CONTEXT] = item.nodeid
    measured.switch_context(item.nodeid)
    before = processor_seconds()
    try:
        return (yield)
    finally:
        cost = {"test": item.nodeid, "seconds": round(processor_seconds() - before, 3)}
        # One short line in append mode is written as a whole, by whichever worker.
        with Path(os.environ["COVERAGE_FILE"]).with_name(COSTS).open("a") as file:
            file.write(json.dumps(cost) + "\n")
        measured.switch_context("")
        del os.environ[CONTEXT]
