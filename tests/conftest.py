"""The distributions, an environment with the wheel, and what every run says at its end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.environments import environment_with, environment_with_wheel, made_once, run

ROOT = Path(__file__).parents[1]

# Below nohup a test run ignores SIGHUP, and in the background of a shell script SIGINT. The
# commands that tests end by these signals would inherit that.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# Many tests start pytest or a check. In each of them Hypothesis would import trio, which registers
# a plugin there, and uses none of it.
os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"

# A busy machine is not a reason for a property to fail. Everything else stays as Hypothesis has it.
settings.register_profile(
    "tests", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


# Markers that lists give to tests, or to single cases of them.
LISTED = {
    marker: frozenset((ROOT / "tests" / f"{marker}.txt").read_text(encoding="utf-8").splitlines())
    for marker in ("alike", "unmeasured")
}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark the tests of the lists, before any of them is deselected, and begin with the slow ones.

    Otherwise the workers of a run wait at its end for a slow test that began last.
    """
    for item in items:
        for marker, names in LISTED.items():
            if {item.nodeid, item.nodeid.partition("[")[0]} & names:
                item.add_marker(marker)
    result = yield
    # After pytest-randomly has shuffled them.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    return result


@pytest.fixture(scope="session")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""

    def build(folder: Path) -> None:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)

    return made_once("dist", build, tmp_path_factory)


@pytest.fixture(scope="session")
def installed(distributions, tmp_path_factory) -> Path:
    """The programs of an environment into which nothing but the wheel was installed."""
    return environment_with_wheel(distributions, "environment", tmp_path_factory)


@pytest.fixture(scope="session")
def installed_editable(tmp_path_factory) -> Path:
    """The programs of an environment into which this checkout was installed with ``-e``."""
    return environment_with("-e", ROOT, name="editable", factory=tmp_path_factory)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the fuzz of the wire counted, in whichever process it ran."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    counts = [text for r in reports for name, text in r.user_properties if name == "wire_fuzz"]
    if counts:
        terminalreporter.section("fuzz of the wire")
        for text in sorted(counts):
            terminalreporter.line(text)
