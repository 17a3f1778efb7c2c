"""Verdicts on clauses: collected from the items of a run, printed and written at its end."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract_tests.target import TargetError
from contract_tests.verdicts import (
    ClientCrashed,
    ClientHung,
    ContractBreached,
    DriverFailed,
    Finding,
    NotApplicable,
    NotTested,
    ScenarioEnded,
    Verdict,
)
from mockbroker.conformance import is_binding
from pytest_plugin.annotations import annotations_of, are_wanted
from pytest_plugin.known import Standing
from pytest_plugin.outputs import OutputError, write_outputs
from pytest_plugin.report import ClientDescription, Report, build_report
from pytest_plugin.settings import fail_on, known_failures, option, output_files
from pytest_plugin.terminal import plain, render, story, width_of

if TYPE_CHECKING:
    from contract_tests.run import ContractRun

__all__ = ["VerdictCollector"]

_PROPERTY = "contract_findings"
_CLIENT = "contract_client"
_UNUSABLE = "contract_client_unusable"
_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
_LETTERS = {
    Verdict.ADVICE: "a",
    Verdict.NOT_APPLICABLE: "-",
    Verdict.NOT_TESTED: "?",
    Verdict.KNOWN: "k",
    Verdict.HANG: "H",
    Verdict.CRASH: "C",
}


class VerdictCollector:
    """Turns what items found into a report on the client."""

    NAME = "contract-verdicts"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._own: list[Finding] = []
        self._noted: list[Finding] = []
        self._deselected: set[str] = set()
        self._client: dict[str, Any] = {}
        self._driver_failures: dict[str, None] = {}
        self._known = known_failures(config)
        self.examples: dict[str, Any] = {}
        """The examples that led to something, by clause id; only what this process has played."""
        self._interrupted = False
        self.trouble = ""
        """In one sentence, what went wrong with the report itself; empty if nothing did."""
        self.run: ContractRun | None = None

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Remember the clauses that the user left out."""
        self._deselected |= {clause_id for item in items if (clause_id := _clause_of(item))}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge the item: give its report the verdict's outcome, and the findings to carry."""
        report = yield
        clause_id = _clause_of(item)
        if call.excinfo is not None and isinstance(call.excinfo.value, TargetError):
            report.longrepr = str(call.excinfo.value)
            report.user_properties.append((_UNUSABLE, str(call.excinfo.value)))
        elif clause_id and call.when == "call" and self.run is not None:
            finding = self._finding(clause_id, call)
            if finding is not None:
                shown = self._shown(finding)
                _dress(report, shown, is_fatal=self._is_fatal(shown))
                self._attach(report, finding)
        return report

    def _finding(self, clause_id: str, call: pytest.CallInfo[None]) -> Finding | None:
        error = call.excinfo.value if call.excinfo else None
        if error is None:
            return Finding(clause_id, Verdict.PASSED)
        if isinstance(error, ScenarioEnded) and error.drawn is not None:
            self.examples[clause_id] = error.drawn
        if isinstance(error, ContractBreached) and self.run is not None:
            return error.finding(self.run.verdict_on_breach(clause_id))
        for kind, verdict in _OUTCOMES.items():
            if isinstance(error, kind):
                reason, _, example = str(error).partition("\n")
                return Finding(clause_id, verdict, reason, example)
        return None

    def _shown(self, own: Finding) -> Finding:
        """The finding as known, if it is; that one passes is not known before the run's end."""
        listing = self._known.listing(own)
        known = listing is not None and listing.standing is not Standing.STALE
        return listing.finding if listing and known else own

    def _is_fatal(self, finding: Finding) -> bool:
        return finding.verdict in _FATAL and is_binding(finding.clause_id, fail_on(self._config))

    def _attach(self, report: pytest.TestReport, own: Finding) -> None:
        assert self.run is not None
        findings = [own, *self.run.take_findings()]
        self.examples = self.run.noted_examples | self.examples
        payload = json.dumps([finding.to_json() for finding in findings])
        itself = self.run.clients.description
        client = {
            "name": itself["name"],
            "version": itself["version"],
            "capabilities": itself.get("capabilities", self.run.capabilities),
            "driver_failures": list(self.run.clients.failures),
            "measured": self.run.measured(),
            "clock_seen": self.run.rehearsal.clock_seen,
            "replays": self.run.replays.outcomes,
            "deselected": sorted(self._deselected),
        }
        report.user_properties += [(_PROPERTY, payload), (_CLIENT, json.dumps(client))]

    def receive(self, report: pytest.TestReport) -> None:
        """Take over the findings that a report brings along.

        Ends the session, exit status 4, if what it brings is that the client is unusable.
        """
        brought = dict(report.user_properties)
        if _UNUSABLE in brought:
            pytest.exit(str(brought[_UNUSABLE]), returncode=pytest.ExitCode.USAGE_ERROR)
        own, *noted = map(Finding.from_json, json.loads(str(brought[_PROPERTY])))
        self._own.append(own)
        self._noted += noted
        client = json.loads(str(brought[_CLIENT]))
        gathered = {
            name: {**self._client.get(name, {}), **client[name]} for name in ("measured", "replays")
        }
        self._client = {**client, **gathered}
        self._driver_failures |= dict.fromkeys(client["driver_failures"])
        self._deselected |= set(client["deselected"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Name the verdicts that pytest has no word for."""
        text = dict(report.user_properties).get(_PROPERTY)
        if report.when != "call" or text is None:
            return None
        verdict = self._shown(Finding.from_json(json.loads(str(text))[0])).verdict
        if verdict not in _LETTERS:
            return None
        return verdict.value, _LETTERS[verdict], verdict.value.upper()

    @property
    def has_report(self) -> bool:
        """Whether there is anything to report."""
        return bool(self._own or self._deselected) and not self._config.option.collectonly

    @property
    def report(self) -> Report:
        """What has been found so far."""
        named, command = option(self._config, "client"), option(self._config, "exec")
        target = named or command or self._client.get("name", "")
        by_pytest = self._config.pluginmanager.has_plugin("terminalreporter")
        return build_report(
            (*self._own, *self._noted),
            profile=option(self._config, "profile") or "autograb",
            client=ClientDescription(
                target=target,
                name=self._client.get("name", "") if command else _name_in(target),
                version=self._client.get("version", ""),
                capabilities=tuple(self._client.get("capabilities", ())),
            ),
            measured=self._client.get("measured", {}),
            fail_on=fail_on(self._config),
            deselected=self._deselected,
            interrupted=self._interrupted,
            known=self._known,
            replays=self._client.get("replays", {}),
            driver_failures=self._driver_failures,
            options="--contract-" if by_pytest else "--",
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit status by the report, unless something else went wrong; write files."""
        if hasattr(self._config, "workerinput") or not self.has_report:
            return
        self._interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        try:
            write_outputs(self.report, output_files(self._config))
        except OutputError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self.trouble = str(error)
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = self.report.exit_status

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the report."""
        if not self.has_report:
            return
        terminalreporter.section("contract")
        encoding = getattr(terminalreporter._tw._file, "encoding", None)  # noqa: SLF001
        width = width_of(terminalreporter._tw.fullwidth)  # noqa: SLF001
        if self.trouble:
            terminalreporter.write_line(self.trouble, red=True)
        for line in render(self.report, width):
            markup = {"faint": {"light": True}, "": {}}.get(line.style, {line.style: True})
            terminalreporter.write_line(plain(line.text, encoding), **markup)
        for annotation in annotations_of(self.report) if are_wanted() else ():
            terminalreporter.write_line(annotation)


_OUTCOMES: dict[type[Exception], Verdict] = {
    NotTested: Verdict.NOT_TESTED,
    NotApplicable: Verdict.NOT_APPLICABLE,
    DriverFailed: Verdict.NOT_TESTED,
    ClientHung: Verdict.HANG,
    ClientCrashed: Verdict.CRASH,
}


def _name_in(target: str) -> str:
    module, _, factory = target.rpartition(":")
    return Path(module or factory).stem


def _clause_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("contract_clause")
    return str(marker.args[0]) if marker else ""


def _dress(report: pytest.TestReport, finding: Finding, *, is_fatal: bool) -> None:
    """Give the report the outcome that the verdict means, and the story instead of a traceback."""
    if is_fatal:
        report.outcome = "failed"
        report.longrepr = "\n".join(line.text for line in story(finding))
    else:
        report.outcome = "passed"
        report.longrepr = None
