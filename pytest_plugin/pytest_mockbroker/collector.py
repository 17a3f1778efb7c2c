"""Verdicts on clauses: collected from the items of a run, printed and written at its end.

Under pytest-xdist the clauses are judged in workers and reported by the controller.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mockbroker.cli.options import FIRST_FAILURE, VERBOSE
from mockbroker.model.escaping import printable, printable_lines
from mockbroker.report.annotations import annotations_of, are_wanted
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import OutputError, write_outputs
from mockbroker.report.kit_error import KitError
from mockbroker.report.report import STOPPED_AT_FAILURE, STOPPED_EARLY, Report
from mockbroker.report.terminal import render
from mockbroker.report.terminal_lines import encodable, plain, width_of
from pytest_mockbroker.gathered_results import GatheredResults
from pytest_mockbroker.item_judge import ItemJudge
from pytest_mockbroker.item_results import ItemResult
from pytest_mockbroker.kit_failures import kit_error_from
from pytest_mockbroker.markers import clause_id_of
from pytest_mockbroker.settings import (
    check_arguments,
    fail_on,
    known_failures,
    output_files,
    values_of,
)

if TYPE_CHECKING:
    from mockbroker_contract.harness.run import ContractRun

__all__ = ["VerdictCollector", "most_severe"]

# One letter each for pytest's progress line; passed and failed have pytest's own.
_LETTERS = {
    Verdict.ADVICE: "a",
    Verdict.NOT_APPLICABLE: "-",
    Verdict.NOT_TESTED: "?",
    Verdict.KNOWN: "k",
    Verdict.HANG: "H",
    Verdict.CRASH: "C",
    Verdict.ERROR: "E",
}
# An interrupted run is incomplete, and a failure of the kit makes verdicts doubtful; both precede a
# verdict on the client.
_GRAVEST_FIRST = (2, 3, 4, 5, 1, 0)


def most_severe(*statuses: int) -> int:
    """Return the first exit status in order of severity.

    The order is: interrupted, the kit failed, driver or usage, nothing tested, something failed. A
    status that is not pytest's comes from another plugin, and precedes them all.

    Several parts of a run have a status of their own: pytest, the report, the writing of files.
    """
    foreign = [status for status in statuses if status not in _GRAVEST_FIRST]
    return foreign[0] if foreign else min(statuses, key=_GRAVEST_FIRST.index)


class VerdictCollector:
    """Plugin that has items judged, and turns their results into a report on the client.

    It is registered with the first clause that is collected, so that other test runs never see its
    hooks. In a worker of pytest-xdist it judges; in the controller, which collects no items, it
    gathers and reports.
    """

    NAME = "contract-verdicts"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        known = known_failures(config)
        self._judge = ItemJudge(known, fail_on(config))
        self._results = GatheredResults(known)
        self._was_deselected = False
        self._is_unusable = False
        self.breaches: list[Finding] = []
        """The breaches so far that fail the run, in the order in which they were found."""
        self.trouble = ""
        """The error in writing or printing the report, in one line; empty if there was none."""

    @classmethod
    def of(cls, config: pytest.Config) -> VerdictCollector:
        """Return the collector of that configuration, registered now if there was none."""
        found = config.pluginmanager.get_plugin(cls.NAME)
        if found is None:
            found = cls(config)
            config.pluginmanager.register(found, cls.NAME)
        assert isinstance(found, cls)
        return found

    def judge_with(self, run: ContractRun) -> None:
        """Judge the items of this process from now on by what that run finds."""
        self._judge.run = run

    @property
    def examples(self) -> dict[str, Any]:
        """The examples that led to a finding, by clause id."""
        return self._results.examples

    def take_findings(self) -> list[Finding]:
        """Return the findings of this process that no item has taken yet."""
        return self._judge.take_findings()

    # -- in the process that runs the items ----------------------------------------------------

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Record that the user deselected clauses, because a report on none of them is valid."""
        self._was_deselected |= any(map(clause_id_of, items))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the clauses that are to be judged."""
        # Tests of the user in the same session judge no clause.
        self._results.select(filter(None, map(clause_id_of, session.items)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Separate errors of the kit from verdicts.

        The client's process is started in the setup of the first clause, where most errors of the
        kit occur.
        """
        with self._judge.kit_errors_raised(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Separate errors of the kit from verdicts; begin no clause once the budget is used up.

        An exhausted budget makes the clause not-tested, so every clause has its row in the report.
        """
        with self._judge.kit_errors_raised(item):
            if clause_id_of(item):
                self._judge.require_means()
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge the item: give its report the verdict's outcome, and the result to carry.

        A wrapper, because the report must be complete before its outcome is replaced.
        """
        report = yield
        result = self._judge.judge(item, call, report)
        if result is not None:
            # A controller of pytest-xdist collects nothing, so that the workers say what is due.
            msgspec.structs.replace(result, selected=self._results.selected).attach_to(report)
        return report

    # -- in the process that reports the run ---------------------------------------------------

    def receive(self, report: pytest.TestReport) -> None:
        """Record the result that a report carries.

        Ends the session with exit status 4 if the client is unusable. Called in the process that
        reports the run, for each phase of each test.
        """
        result = ItemResult.carried_by(report)
        if result is None:
            return
        if result.unusable:
            self._is_unusable = True
            # Not raised in the worker: there pytest.exit ends one worker, and the others go on.
            pytest.exit(result.unusable, returncode=pytest.ExitCode.USAGE_ERROR)
        self._results.add(result, seconds=report.duration)
        self._note_breaches(result.findings)

    def _note_breaches(self, findings: Iterable[Finding]) -> None:
        """Note each binding breach once; end the session at the first one if that is wanted."""
        noted = {each.clause_id for each in self.breaches}
        found = map(self._judge.as_known, findings)
        self.breaches += [
            each for each in found if self._judge.is_fatal(each) and each.clause_id not in noted
        ]
        ends_here = values_of(self._config)[FIRST_FAILURE]
        if self.breaches and ends_here:
            self._results.unreached = STOPPED_AT_FAILURE
            self._end_session(f"{self.breaches[0].clause_id} failed")

    def _end_session(self, reason: str) -> None:
        """End the session as a failed one, as soon as this item is reported."""
        plugins = self._config.pluginmanager
        session = plugins.get_plugin("session")
        if session is None:
            return
        # The loop of pytest-xdist does not look at `shouldfail`; what a hook raises ends it.
        if plugins.has_plugin("dsession"):
            raise session.Failed(reason)
        session.shouldfail = reason

    def receive_findings(self, findings: list[Finding]) -> None:
        """Record findings of a process that was stopped while it judged a clause."""
        self._results.note(findings)

    def receive_error(self, error: KitError) -> None:
        """Record an error of the kit in a process that judges clauses."""
        self._results.add_error(error)

    def receive_uncollected(self, report: pytest.CollectReport) -> None:
        """Record that tests of the kit could not be collected.

        Without it, a broken module would silently leave its clauses out of the report.
        """
        reason = f"the kit failed: cannot collect {printable(report.nodeid)}"
        self._results.add_error(KitError(reason, printable_lines(report.longreprtext)))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record an error that ends the session."""
        self._results.add_error(kit_error_from(excinfo.value, "it ended the run"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Return the name of a verdict that pytest has no word for.

        First, because pytest's own answer would be "passed" for advice and known failures.
        """
        result = ItemResult.carried_by(report) if report.when == "call" else None
        if result is None or not result.findings:
            return None
        verdict = self._judge.as_known(result.findings[0]).verdict
        if verdict not in _LETTERS:
            return None
        return verdict.value, _LETTERS[verdict], verdict.value.upper()

    @property
    def has_report(self) -> bool:
        """Whether there is anything to report.

        False for runs that only list tests, and for a client that could not be made.
        """
        asked_for = self._config.option
        # setuponly is an option of a pytest plugin, which a user may have disabled.
        if self._is_unusable or asked_for.collectonly or getattr(asked_for, "setuponly", False):
            return False
        return self._was_deselected or not self._results.is_empty

    @property
    def report(self) -> Report:
        """The report on the results so far, also after an interruption."""
        return self._results.report(
            values_of(self._config),
            check_arguments=check_arguments(self._config),
            # `mockbroker check` runs without the terminal reporter. The report names options as
            # its reader types them.
            is_by_pytest=self._config.pluginmanager.has_plugin("terminalreporter"),
        )

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Set the exit status by the report unless a more severe error occurred; write files.

        This hook runs after the others of the session's end, whether or not they failed.
        """
        # A worker of pytest-xdist has part of the findings only.
        if hasattr(self._config, "workerinput") or not self.has_report:
            return (yield)
        result: object = None
        try:
            result = yield
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the report must be written in any case
            self._results.add_error(kit_error_from(error, "after the last clause"))
        # Read before the report sets the status.
        was_cut_off = session.exitstatus == pytest.ExitCode.INTERNAL_ERROR
        self._conclude(session)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if was_cut_off and terminal is not None:  # after an internal error pytest prints no summary
            self.pytest_terminal_summary(terminal)
        return result

    def _conclude(self, session: pytest.Session) -> None:
        """Build the report, write its files, and set the session's exit status."""
        # Findings on other clauses by a clause test that was interrupted.
        self._results.note(self.take_findings())
        self._results.is_interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        # By --maxfail or a signal: clauses without a finding were not reached, which differs from
        # not tested.
        if session.shouldfail or session.shouldstop:
            self._results.unreached = self._results.unreached or STOPPED_EARLY
        report, statuses = self.report, [int(session.exitstatus)]
        try:
            write_outputs(report, output_files(self._config))
        except OutputError as error:
            statuses.append(pytest.ExitCode.INTERNAL_ERROR)
            self.trouble = str(error)
        # pytest itself counts advice and known failures as passed, and knows nothing of files.
        session.exitstatus = most_severe(*statuses, report.exit_status)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the report."""
        if not self.has_report:
            return
        terminalreporter.section("contract")
        # pytest has no public name for the terminal writer.
        encoding = getattr(terminalreporter._tw._file, "encoding", None)  # noqa: SLF001
        width = width_of(terminalreporter._tw.fullwidth)  # noqa: SLF001
        if self.trouble:
            terminalreporter.write_line(plain(self.trouble, encoding), red=True)
        verbose = values_of(self._config)[VERBOSE]
        for line in render(self.report, width, verbose=verbose):
            # pytest's terminal writer calls this style "light".
            markup = {"faint": {"light": True}, "": {}}.get(line.style, {line.style: True})
            # A CI log may have an encoding without the report's symbols; writing them would end the
            # run with an error.
            terminalreporter.write_line(plain(line.text, encoding), **markup)
        for annotation in annotations_of(self.report) if are_wanted() else ():
            terminalreporter.write_line(encodable(annotation, encoding))
