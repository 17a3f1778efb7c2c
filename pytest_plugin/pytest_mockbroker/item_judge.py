"""Judgement of single items, in the process that runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mockbroker.broker.conformance import is_binding
from mockbroker.contract.clause import Level
from mockbroker.model.escaping import printable, printable_lines
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import KnownFailures, Standing
from mockbroker.report.plain_examples import all_to_plain
from mockbroker.report.terminal_causes import finding_lines
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
from mockbroker_contract.harness.surroundings import needs_sockets
from pytest_mockbroker.item_results import ItemResult, client_facts_of
from pytest_mockbroker.kit_failures import KitFailed, kit_error_from
from pytest_mockbroker.markers import clause_id_of

if TYPE_CHECKING:
    from mockbroker_contract.harness.run import ContractRun

__all__ = ["ItemJudge"]

_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
_SKIPPED = (pytest.skip.Exception, pytest.xfail.Exception)
_EXPECTED = (*_SKIPPED, ScenarioEnded, OutOfTime, TargetError, pytest.exit.Exception)
"""The exceptions by which a clause test may end; any other exception is an error of the kit."""
_OUTCOMES: dict[type[ScenarioEnded], Verdict] = {
    NotTested: Verdict.NOT_TESTED,
    NotApplicable: Verdict.NOT_APPLICABLE,
    # A failure of the driver proves nothing about the client; the report lists it separately.
    DriverFailed: Verdict.NOT_TESTED,
    ClientHung: Verdict.HANG,
    ClientCrashed: Verdict.CRASH,
}


class ItemJudge:
    """Judge of the items of this process; ``fail_on`` is the level from which a breach fails one.

    ``run`` is the contract run, once there is one.
    """

    def __init__(self, known: KnownFailures, fail_on: Level) -> None:
        self.known = known
        self._fail_on = fail_on
        self.run: ContractRun | None = None
        self._examples: dict[str, Any] = {}

    @contextlib.contextmanager
    def kit_errors_raised(self, item: pytest.Item) -> Iterator[None]:
        """Raise KitFailed instead of an exception that a clause test must not raise."""
        try:
            yield
        # KeyboardInterrupt is the user's, and pytest ends the session by it.
        except (*_EXPECTED, KeyboardInterrupt):
            raise
        except BaseException as error:
            # Exceptions of other tests in the same session stay as they are.
            if not clause_id_of(item):
                raise
            # "from None", or pytest would format the original as the context.
            raise KitFailed(kit_error_from(error)) from None

    def require_means(self) -> None:
        """Raise OutOfTime if the budget is used up, TargetError if sockets are forbidden."""
        if self.run is not None:
            needs_sockets()
            self.run.budget.require()

    def take_findings(self) -> list[Finding]:
        """Return the findings that no item has taken yet."""
        return [] if self.run is None else self.run.findings.take()

    def judge(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> ItemResult | None:
        """Return the result of a phase of the item, or None; give its report that outcome.

        The traceback is replaced: it would show the kit's code, and values that may be secret.
        """
        clause_id = clause_id_of(item)
        error = call.excinfo.value if call.excinfo else None
        is_unusable = isinstance(error, TargetError)
        # A test of the user may also request the fixture of the client, and so find it unusable.
        if not clause_id and not is_unusable:
            return None
        # pytest shows captured output of the client beside a failure. Escaped, because the output
        # may have control characters of a terminal or commands of a CI service.
        report.sections = [
            (printable(name), printable_lines(text)) for name, text in report.sections
        ]
        if is_unusable:
            # The message alone: the mistake is in what the user named, and not where it was raised.
            report.longrepr = printable_lines(str(error))
            return ItemResult(unusable=report.longrepr)
        if call.when == "teardown":
            return None if error is None else self._judge_teardown(report, error)
        if call.when == "call" or error is not None:
            return self._judge_clause(report, clause_id, error)
        return None

    def _judge_teardown(self, report: pytest.TestReport, error: BaseException) -> ItemResult:
        """Attach an error in a teardown, which comes after the verdict and changes it no more."""
        kit_error = kit_error_from(error, "after a clause had been judged")
        report.longrepr = f"{kit_error.reason}\n{kit_error.traceback}"
        return ItemResult(error=kit_error)

    def _judge_clause(
        self, report: pytest.TestReport, clause_id: str, error: BaseException | None
    ) -> ItemResult:
        """Replace the outcome of pytest's report by the verdict.

        Findings on other clauses, which the run noted meanwhile, travel with it.
        """
        findings, client = [self._finding(clause_id, error)], None
        try:
            if self.run is not None:
                findings += self.take_findings()
                # The right operand wins: a clause's own example, over one noted in another clause.
                self._examples = self.run.findings.examples | self._examples
                client = client_facts_of(self.run)
        # Facts come from the client's process, which may be in any state.
        except Exception as failed:  # noqa: BLE001 - it may come from the client's factory
            findings = [kit_error_from(failed).finding(clause_id)]
        # A reader of the report can then repeat the case that showed the breach.
        findings = [msgspec.structs.replace(each, found_in=clause_id) for each in findings]
        finding = self.as_known(findings[0])
        if not isinstance(error, _SKIPPED):  # pytest reports the error by itself
            _set_outcome(report, finding, self._profile, is_fatal=self.is_fatal(finding))
        examples = all_to_plain(self._examples)
        return ItemResult(findings=tuple(findings), examples=examples, client=client)

    @property
    def _profile(self) -> Profile:
        """The profile that judges; the default one before there is a run."""
        return AUTOGRAB if self.run is None else self.run.settings.profile

    def _finding(self, clause_id: str, error: BaseException | None) -> Finding:
        """Return the finding that the end of a clause test means."""
        if error is None:
            return Finding(clause_id, Verdict.PASSED)
        # Kept for --write-known, which stores the example with the entry.
        if isinstance(error, ScenarioEnded) and error.drawn is not None:
            self._examples[clause_id] = error.drawn
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

    def as_known(self, own: Finding) -> Finding:
        """Return the finding as known if it is listed; passing ones are only known at the end."""
        listing = self.known.listing(own)
        known = listing is not None and listing.standing is not Standing.STALE
        return listing.finding if listing and known else own

    def is_fatal(self, finding: Finding) -> bool:
        """Return whether the finding fails the test, by its verdict and the level of its clause."""
        # At every level: the kit failed, so the client has no verdict.
        if finding.verdict is Verdict.ERROR:
            return True
        return finding.verdict in _FATAL and is_binding(finding.clause_id, self._fail_on)


def _kit_error_in(error: BaseException) -> KitError:
    return error.error if isinstance(error, KitFailed) else kit_error_from(error)


def _set_outcome(
    report: pytest.TestReport, finding: Finding, profile: Profile, *, is_fatal: bool
) -> None:
    """Set the outcome that the verdict means, and replace the traceback by the finding."""
    if is_fatal:
        report.outcome = "failed"
        lines = finding_lines(finding, profile)
        report.longrepr = "\n".join(printable(line.text) for line in lines)
    elif report.when == "setup":  # a passed setup phase is followed by the call phase, which counts
        report.outcome = "skipped"
        path, line, _ = report.location
        # pytest expects this triple for a skip, and shows where the test is.
        report.longrepr = (path, line or 0, finding.reason)
    else:
        report.outcome = "passed"
        report.longrepr = None
