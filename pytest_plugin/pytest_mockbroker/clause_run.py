"""The pytest session in which `mockbroker check` judges the clauses.

Not safe for several threads: environment and hooks of the process change while the session lasts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mockbroker.cli.options import EXEC, JOBS, SHOW_OUTPUT, VERBOSE, Values
from mockbroker.cli.printing import print_error, print_report
from mockbroker.cli.progress import progress_display
from mockbroker.report.terminal_causes import breach_line
from mockbroker_contract import clauses
from mockbroker_contract.isolation.one_processor import one_processor
from mockbroker_contract.isolation.own_pytest import without_user_settings
from pytest_mockbroker.clause_workers import ClauseWorkers, can_fork
from pytest_mockbroker.collector import VerdictCollector
from pytest_mockbroker.interruption import Interruption
from pytest_mockbroker.markers import clause_id_of
from pytest_mockbroker.settings import OPTION_VALUES, REPLAYS

__all__ = ["ClauseRun", "run_clauses"]


def run_clauses(run: ClauseRun) -> int:
    """Run the clauses in a pytest session of their own; return its exit status.

    The session runs in this process, so ``run`` gets its hooks directly. Must be called in the main
    thread for signals to end it in order.
    """
    here, folder = Path(__file__).parent, Path(clauses.__file__).parent
    # --confcutdir and -c keep conftest.py files and settings above the kit's folder out. A virtual
    # environment may be in a project that has both.
    arguments = [str(folder), "--confcutdir", str(folder), "-c", str(here / "check.ini")]
    arguments += ["-p", "pytest_mockbroker.plugin", "-p", "no:cacheprovider", "-p", "no:terminal"]
    # These plugins are about the process in which tests run; the client runs in another one.
    arguments += ["-p", "no:faulthandler", "-p", "no:logging", "-p", "no:warnings"]
    # pytest must not capture: clients write to a pipe of the kit, and a debugger needs the
    # terminal.
    arguments += ["--capture", "no"]
    arguments += ["--assert", "plain"]  # no clause uses rewritten assertions
    # A chapter that cannot be imported must not prevent the others from running.
    arguments += ["--continue-on-collection-errors"]
    # This plugin would collect garbage for a second at the end.
    arguments += ["-p", "no:unraisableexception"]
    workers = ClauseWorkers(run.worker_count)
    # This process runs nothing but the check, so that its affinity may change. The hosts of the
    # clients inherit it; workers choose a processor of their own.
    place = one_processor() if run.worker_count == 1 else contextlib.nullcontext()
    with without_user_settings(), place:
        return int(pytest.main(arguments, plugins=[run, workers]))


class ClauseRun:
    """Plugin of that session: passes the settings in, and prints the report at the end.

    ``replays`` are plain examples to try first, by clause id.

    It exists for one session. `statuses`, `stopped_by` and `collector` are valid after it.
    """

    def __init__(self, values: Values, replays: dict[str, Any], interruption: Interruption) -> None:
        self._values = values
        self._replays = replays
        self._interruption = interruption
        self._display = progress_display()
        self._config: pytest.Config | None = None
        self._items: dict[str, str] = {}
        self._begun = 0
        self._shown = 0
        self.stopped_by = ""
        """Why a hook stopped the session; empty if none did."""
        self.statuses: list[int] = []
        """Exit statuses for errors that pytest does not count as errors."""
        self.collector: VerdictCollector | None = None
        """The collector with the report once it was to be printed; None without a report."""

    @property
    def worker_count(self) -> int:
        """How many processes may judge clauses, by default one for each processor.

        One more for a program: it is waited for, in real time if it has no clock. One if the user
        wants to see the client's output: lines of several clients would mix.
        """
        if self._values[SHOW_OUTPUT] or not can_fork():
            return 1
        return self._values[JOBS] or _processors() + bool(self._values[EXEC])

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Give the session the settings of the command.

        First, because the plugin's own hook checks the settings that are given here.
        """
        self._config = config
        config.stash[OPTION_VALUES] = self._values
        config.stash[REPLAYS] = self._replays

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let a signal stop the session from now on.

        Not earlier: before the session exists there is nothing to stop, and the exception itself
        ends pytest.
        """
        self._interruption.stop(session)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the clauses to judge, by node id."""
        self._items = {item.nodeid: clause_id_of(item) for item in session.items}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that the next clause begins."""
        self._begun += 1
        self._display.begin(self._begun, len(self._items), self._items[nodeid])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record the message of `pytest.exit`.

        pytest raises it for Ctrl-C and for `pytest.exit` alike; only the latter has a message to
        show.
        """
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.stopped_by = excinfo.value.msg

    def pytest_runtest_logreport(self) -> None:
        """Show each new breach that fails the run in a line, long before the report.

        It may be of another clause than the one that was judged.
        """
        collector = self._found_collector()
        breaches = [] if collector is None else collector.breaches
        for finding in breaches[self._shown :]:
            self._display.note(breach_line(finding))
        self._shown = len(breaches)

    def pytest_internalerror(self, excrepr: object) -> bool:
        """Print an error of pytest itself that no report shows.

        Returns True, which keeps pytest from printing it a second time.
        """
        if self._found_collector() is None:  # the report shows it otherwise
            for line in str(excrepr).splitlines():
                print_error(line)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Print the report, even if another hook fails at the end of the session.

        First of the wrappers, so that it surrounds the collector's own, which writes the report's
        files.
        """
        # From here a signal must not tear the report apart, as the run is over.
        self._interruption.end()
        try:
            return (yield)
        finally:
            self._display.end()
            self._print_report()

    def _found_collector(self) -> VerdictCollector | None:
        """Return the collector, if it has anything to report."""
        found = self._config and self._config.pluginmanager.get_plugin(VerdictCollector.NAME)
        return found if isinstance(found, VerdictCollector) and found.has_report else None

    def _print_report(self) -> None:
        """Print the report; an output that is closed changes the exit status only."""
        collector = self.collector = self._found_collector()
        if collector is None:
            return
        try:
            print_report(collector.report, verbose=self._values[VERBOSE])
        except OSError as error:
            self.statuses.append(pytest.ExitCode.INTERNAL_ERROR)
            print_error(f"cannot print the report: {error.strerror}")
        if collector.trouble:
            print_error(collector.trouble)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
