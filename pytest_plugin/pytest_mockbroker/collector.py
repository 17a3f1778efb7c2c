"""Verdicts on clauses: collected from the items of a run, printed and written at its end.

Under pytest-xdist the clauses are judged in workers and reported by the controller. Findings travel
there as JSON in the ``user_properties`` of pytest's reports, which xdist passes on.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mockbroker.broker.clock import real_seconds
from mockbroker.broker.conformance import is_binding
from mockbroker.cli.options import CLIENT, EXEC, ONLY, PROFILE
from mockbroker.model.escaping import printable, printable_lines
from mockbroker.report.annotations import annotations_of, are_wanted
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import OutputError, write_outputs
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import Standing
from mockbroker.report.report import (
    STOPPED_EARLY,
    ClientDescription,
    Report,
    RunFacts,
    build_report,
)
from mockbroker.report.terminal import encodable, finding_lines, plain, render, width_of
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotApplicable,
    NotTested,
    ScenarioEnded,
)
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.budget import OutOfTime
from mockbroker_contract.harness.endings import ClientHung, ContractBreached
from pytest_mockbroker.kit_failures import KitFailed, kit_error_from
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

# Prefixed, because user_properties are shared with the user's own plugins and end up in JUnit
# files.
_PROPERTY = "contract_findings"
_CLIENT = "contract_client"
_ERROR = "contract_error"
_UNUSABLE = "contract_client_unusable"
_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
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
_SKIPPED = (pytest.skip.Exception, pytest.xfail.Exception)
_EXPECTED = (*_SKIPPED, ScenarioEnded, OutOfTime, TargetError, pytest.exit.Exception)
"""The exceptions by which a clause test may end; any other exception is an error of the kit."""


def most_severe(*statuses: int) -> int:
    """Return the first exit status in order of severity.

    The order is: interrupted, the kit failed, driver or usage, nothing tested, something failed. A
    status that is not pytest's comes from another plugin, and precedes them all.

    Several parts of a run have a status of their own: pytest, the report, the writing of files.
    """
    foreign = [status for status in statuses if status not in _GRAVEST_FIRST]
    return foreign[0] if foreign else min(statuses, key=_GRAVEST_FIRST.index)


class VerdictCollector:
    """Collector that turns the findings of items into a report on the client.

    It is registered with the first clause that is collected, so that other test runs never see its
    hooks. In a worker of pytest-xdist it judges; in the controller, which collects no items, it
    gathers and reports.
    """

    NAME = "contract-verdicts"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._created = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
        self._began = real_seconds()
        self._own: list[Finding] = []
        self._noted: list[Finding] = []
        self._selected: set[str] = set()
        self._was_deselected = False
        # A dict as an ordered set: several workers may report the same error.
        self._errors: dict[KitError, None] = {}
        self._client: dict[str, Any] = {}
        self._driver_failures: dict[str, None] = {}
        self._known = known_failures(config)
        self.examples: dict[str, Any] = {}
        """The examples that led to a finding, by clause id; only those that this process tried."""
        self._interrupted = False
        self._unreached = ""
        self._is_unusable = False
        self.trouble = ""
        """The error in writing or printing the report, in one line; empty if there was none."""
        self.run: ContractRun | None = None

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Record that the user deselected clauses, because a report on none of them is valid."""
        self._was_deselected |= any(map(_clause_of, items))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the clauses that are to be judged."""
        self._selected |= {clause_id for item in session.items if (clause_id := _clause_of(item))}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Separate errors of the kit from verdicts.

        The client's process is started in the setup of the first clause, where most errors of the
        kit occur.
        """
        with _kit_errors_raised(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Separate errors of the kit from verdicts; begin no clause once the budget is used up.

        An exhausted budget makes the clause not-tested, so every clause has its row in the report.
        """
        with _kit_errors_raised(item):
            if _clause_of(item) and self.run is not None:
                self.run.budget.require()
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge the item: give its report the verdict's outcome, and the findings to carry.

        A wrapper, because the report must be complete before its outcome is replaced. The traceback
        is replaced too: it would show the kit's code, and values that may be secret.
        """
        report = yield
        clause_id = _clause_of(item)
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, TargetError):
            report.longrepr = printable_lines(str(error))
            report.user_properties.append((_UNUSABLE, report.longrepr))
        elif not clause_id:
            return report
        elif call.when == "teardown":
            if error is not None:
                self._attach_error(report, error)
        elif call.when == "call" or error is not None:
            self._judge(report, clause_id, error)
        # pytest shows captured output of the client beside a failure.
        # Escaped, because output of a client may have control characters of a terminal or commands
        # of a CI service.
        report.sections = [
            (printable(name), printable_lines(text)) for name, text in report.sections
        ]
        return report

    def _judge(
        self, report: pytest.TestReport, clause_id: str, error: BaseException | None
    ) -> None:
        """Replace the outcome of pytest's report by the verdict, and attach the findings.

        Findings on other clauses, which the run noted meanwhile, travel with it.
        """
        findings, client = [self._finding(clause_id, error)], {}
        try:
            if self.run is not None:
                findings += self.run.findings.take()
                self.examples = self.run.findings.examples | self.examples
                client = _facts_of(self.run)
        # Facts come from the client's process, which may be in any state.
        except Exception as failed:  # noqa: BLE001 - it may come from the client's factory
            findings = [kit_error_from(failed).finding(clause_id)]
        # A reader of the report can then repeat the case that showed the breach.
        findings = [msgspec.structs.replace(each, found_in=clause_id) for each in findings]
        finding = self._as_known(findings[0])
        if not isinstance(error, _SKIPPED):  # pytest reports the error by itself
            _set_outcome(report, finding, is_fatal=self._is_fatal(finding))
        # The controller has collected nothing itself.
        client["selected"] = sorted(self._selected)
        # A string, because execnet, which connects workers of pytest-xdist, transfers plain values
        # only.
        payload = msgspec.json.encode(findings).decode()
        report.user_properties += [(_PROPERTY, payload), (_CLIENT, json.dumps(client))]

    def _finding(self, clause_id: str, error: BaseException | None) -> Finding:
        """Return the finding that the end of a clause test means."""
        if error is None:
            return Finding(clause_id, Verdict.PASSED)
        # Kept for --write-known, which stores the example with the entry.
        if isinstance(error, ScenarioEnded) and error.drawn is not None:
            self.examples[clause_id] = error.drawn
        if isinstance(error, ContractBreached) and self.run is not None:
            return error.finding(self.run.findings.verdict_on_breach(clause_id))
        for kind, verdict in _OUTCOMES.items():
            if isinstance(error, kind):
                return error.finding_on(clause_id, verdict)
        if isinstance(error, OutOfTime):
            return Finding(clause_id, Verdict.NOT_TESTED, str(error))
        if isinstance(error, _SKIPPED):
            return Finding(clause_id, Verdict.NOT_TESTED, f"skipped: {error.msg}")
        return _kit_error_in(error).finding(clause_id)

    def _attach_error(self, report: pytest.TestReport, error: BaseException) -> None:
        """Attach an error in a teardown, which comes after the verdict and changes it no more."""
        kit_error = kit_error_from(error, "after a clause had been judged")
        report.longrepr = f"{kit_error.reason}\n{kit_error.traceback}"
        report.user_properties.append((_ERROR, json.dumps(kit_error.to_json())))

    def _as_known(self, own: Finding) -> Finding:
        """Return the finding as known if it is listed; passing ones are only known at the end."""
        listing = self._known.listing(own)
        known = listing is not None and listing.standing is not Standing.STALE
        return listing.finding if listing and known else own

    def _is_fatal(self, finding: Finding) -> bool:
        """Return whether the finding fails the test, by its verdict and the level of its clause."""
        if finding.verdict is Verdict.ERROR:
            return True
        return finding.verdict in _FATAL and is_binding(finding.clause_id, fail_on(self._config))

    def receive(self, report: pytest.TestReport) -> None:
        """Record the findings that a report carries.

        Ends the session with exit status 4 if the client is unusable.

        Called in the process that reports the run, for each phase of each test.
        """
        brought = dict(report.user_properties)
        if _UNUSABLE in brought:
            self._is_unusable = True
            # Not raised in the worker: there pytest.exit ends one worker, and the others go on.
            pytest.exit(str(brought[_UNUSABLE]), returncode=pytest.ExitCode.USAGE_ERROR)
        if _ERROR in brought:
            self._errors[KitError.from_json(json.loads(str(brought[_ERROR])))] = None
        if _PROPERTY in brought:
            own, *noted = _findings_in(brought[_PROPERTY])
            self._own.append(own)
            self._noted += noted
            self._learn_of_client(json.loads(str(brought[_CLIENT])))

    def _learn_of_client(self, client: dict[str, Any]) -> None:
        """Merge the facts about the client that a report carries.

        Workers of pytest-xdist judge different clauses, so each measures other facts.
        """
        self._selected |= set(client.pop("selected"))
        if client:
            gathered = {
                name: {**self._client.get(name, {}), **client[name]}
                for name in ("measured", "replays")
            }
            self._client = {**client, **gathered}
            self._driver_failures |= dict.fromkeys(client["driver_failures"])

    def receive_uncollected(self, report: pytest.CollectReport) -> None:
        """Record that tests of the kit could not be collected.

        Without it, a broken module would silently leave its clauses out of the report.
        """
        reason = f"the kit failed: cannot collect {printable(report.nodeid)}"
        self._errors[KitError(reason, printable_lines(report.longreprtext))] = None

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record an error that ends the session."""
        self._errors[kit_error_from(excinfo.value, "it ended the run")] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Return the name of a verdict that pytest has no word for.

        First, because pytest's own answer would be "passed" for advice and known failures.
        """
        text = dict(report.user_properties).get(_PROPERTY)
        if report.when != "call" or text is None:
            return None
        verdict = self._as_known(_findings_in(text)[0]).verdict
        if verdict not in _LETTERS:
            return None
        return verdict.value, _LETTERS[verdict], verdict.value.upper()

    @property
    def has_report(self) -> bool:
        """Whether there is anything to report.

        False for runs that only list tests, and for a client that could not be made.
        """
        asked_for = self._config.option
        if self._is_unusable or asked_for.collectonly or getattr(asked_for, "setuponly", False):
            return False
        return bool(self._selected or self._own or self._errors or self._was_deselected)

    @property
    def report(self) -> Report:
        """The findings of the run so far.

        Built at each call from what has arrived so far, so it is valid after an interruption as
        well.
        """
        values = values_of(self._config)
        named, command = values[CLIENT], values[EXEC]
        target = named or command or self._client.get("name", "")
        # `mockbroker check` runs without the terminal reporter. The report names options as its
        # reader types them.
        by_pytest = self._config.pluginmanager.has_plugin("terminalreporter")
        return build_report(
            (*self._own, *self._noted),
            profile=values[PROFILE],
            client=ClientDescription(
                target=target,
                name=self._client.get("name", "") if command else _name_in(target),
                version=self._client.get("version", ""),
                capabilities=tuple(self._client.get("capabilities", ())),
            ),
            measured=self._client.get("measured", {}),
            fail_on=fail_on(self._config),
            selected=self._selected,
            unreached=self._unreached,
            interrupted=self._interrupted,
            errors=self._errors,
            known=self._known,
            replays=self._client.get("replays", {}),
            driver_failures=self._driver_failures,
            out_of_time=self._client.get("out_of_time", False),
            limits=self._client.get("limits", ()),
            options="--contract-" if by_pytest else "--",
            run=self._facts_of_run(),
        )

    def _facts_of_run(self) -> RunFacts:
        """Return the facts about the run that are not findings."""
        drawn = self._client.get("drawn", {})
        return RunFacts(
            created=self._created,
            duration_seconds=real_seconds() - self._began,
            examples=drawn.get("examples"),
            seed=drawn.get("seed"),
            only=str(values_of(self._config)[ONLY]),
            check_arguments=check_arguments(self._config),
        )

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Set the exit status by the report unless a more severe error occurred; write files.

        This hook runs after the others of the session's end, whether or not they failed.

        The innermost wrapper, so that the terminal reporter has not printed its summary yet.
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
            self._errors[kit_error_from(error, "after the last clause")] = None
        # Read before the report sets the status.
        was_cut_off = session.exitstatus == pytest.ExitCode.INTERNAL_ERROR
        self._conclude(session)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if was_cut_off and terminal is not None:  # after an internal error pytest prints no summary
            self.pytest_terminal_summary(terminal)
        return result

    def _conclude(self, session: pytest.Session) -> None:
        """Build the report, write its files, and set the session's exit status."""
        if self.run is not None:  # findings on other clauses by a clause test that was interrupted
            self._noted += self.run.findings.take()
        self._interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        # By --maxfail or a signal: clauses without a finding were not reached, which differs from
        # not tested.
        if session.shouldfail or session.shouldstop:
            self._unreached = STOPPED_EARLY
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
        encoding = getattr(terminalreporter._tw._file, "encoding", None)  # noqa: SLF001
        width = width_of(terminalreporter._tw.fullwidth)  # noqa: SLF001
        if self.trouble:
            terminalreporter.write_line(plain(self.trouble, encoding), red=True)
        for line in render(self.report, width):
            # pytest's terminal writer calls this style "light".
            markup = {"faint": {"light": True}, "": {}}.get(line.style, {line.style: True})
            # A CI log may have an encoding without the report's symbols; writing them would end the
            # run with an error.
            terminalreporter.write_line(plain(line.text, encoding), **markup)
        for annotation in annotations_of(self.report) if are_wanted() else ():
            terminalreporter.write_line(encodable(annotation, encoding))


_OUTCOMES: dict[type[ScenarioEnded], Verdict] = {
    NotTested: Verdict.NOT_TESTED,
    NotApplicable: Verdict.NOT_APPLICABLE,
    DriverFailed: Verdict.NOT_TESTED,
    ClientHung: Verdict.HANG,
    ClientCrashed: Verdict.CRASH,
}


def _findings_in(payload: object) -> list[Finding]:
    """Return the findings that a report carries; the first is the test's own."""
    return msgspec.json.decode(str(payload), type=list[Finding])


def _name_in(target: str) -> str:
    module, _, factory = target.rpartition(":")
    return Path(module or factory).stem


def _clause_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("contract_clause")
    return str(marker.args[0].id) if marker else ""


@contextlib.contextmanager
def _kit_errors_raised(item: pytest.Item) -> Iterator[None]:
    """Raise KitFailed instead of an exception that a clause test must not raise."""
    try:
        yield
    except (*_EXPECTED, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Exceptions of other tests in the same session stay as they are.
        if not _clause_of(item):
            raise
        # "from None", or pytest would format the original as the context.
        raise KitFailed(kit_error_from(error)) from None


def _kit_error_in(error: BaseException) -> KitError:
    return error.error if isinstance(error, KitFailed) else kit_error_from(error)


def _facts_of(run: ContractRun) -> dict[str, Any]:
    """Return the facts about the client and the run so far, as JSON values."""
    itself = run.clients.description
    return {
        "name": itself["name"],
        "version": itself["version"],
        "capabilities": itself.get("capabilities", run.capabilities),
        "driver_failures": list(run.clients.failures),
        "measured": run.findings.measured,
        "clock_seen": run.preflight.clock_seen,
        "replays": run.replays.outcomes,
        "out_of_time": run.budget.is_spent,
        "limits": list(run.clients.limits),
        "drawn": {"examples": run.settings.examples, "seed": run.settings.seed},
    }


def _set_outcome(report: pytest.TestReport, finding: Finding, *, is_fatal: bool) -> None:
    """Set the outcome that the verdict means, and replace the traceback by the finding."""
    if is_fatal:
        report.outcome = "failed"
        report.longrepr = "\n".join(printable(line.text) for line in finding_lines(finding))
    elif report.when == "setup":  # a passed setup phase is followed by the call phase, which counts
        report.outcome = "skipped"
        path, line, _ = report.location
        report.longrepr = (path, line or 0, finding.reason)
    else:
        report.outcome = "passed"
        report.longrepr = None
