"""What `mockbroker check` does once its options are read: the run, its report, known failures."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click
import pytest

from mockbroker.broker.profiles import ConfigError
from mockbroker.cli.options import CLIENT, EXEC, FAIL_ON, KNOWN, ONLY, WRITE_KNOWN, Values
from mockbroker.cli.printing import print_error, print_line, print_report
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.processes.signals import release_signals
from mockbroker.report.formats import OutputError, problem_with_output, write_outputs
from mockbroker.report.known_failures import KnownFailure, examples_of
from mockbroker.report.known_file import TODO, known_failures_of, read_known_failures
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.terminal_lines import Line
from pytest_mockbroker.clause_run import ClauseRun, run_clauses
from pytest_mockbroker.collector import VerdictCollector, most_severe
from pytest_mockbroker.interruption import Interruption
from pytest_mockbroker.settings import problem_with, profile_and_sources

__all__ = ["run_check"]

# Only a run to the end says which known failures are still there.
_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def run_check(values: Values, interruption: Interruption) -> int:
    """Run the check, print its report in any case, and return the exit status."""
    problem = problem_with(values)
    if problem:
        raise click.UsageError(problem)
    listed = _listed(values)
    run = ClauseRun(values, examples_of(listed), interruption)
    try:
        # The command's start has kept them back until a handler was there.
        release_signals()
        status = run_clauses(run)
    # pytest handles those in its session; this one came before or after it.
    except KeyboardInterrupt:
        status = int(pytest.ExitCode.INTERRUPTED)
    if run.stopped_by:
        # A hook called pytest.exit(), which the plugin does for a client that cannot be used.
        raise click.UsageError(run.stopped_by)
    status = most_severe(status, *run.statuses)
    # pytest ended before it collected any clause, so its status is not a verdict.
    if run.collector is None:
        status = _status_without_report(status, values)
    if written := values[WRITE_KNOWN]:
        status = most_severe(status, _write_known(written, listed, run.collector))
    return status


def _status_without_report(status: int, values: Values) -> int:
    """Return the exit status of a run that pytest ended before it collected any clause."""
    # Success of pytest without a report would look like a client that conforms.
    if status in _JUDGED:
        print_error("the run judged no clause")
        return int(pytest.ExitCode.INTERNAL_ERROR)
    if status == pytest.ExitCode.INTERRUPTED:
        _report_nothing(values)
    return status


def _report_nothing(values: Values) -> None:
    """Print and write the report of a run that was interrupted before it began."""
    profile, _ = profile_and_sources(values)
    report = build_report(
        (),
        RunFacts(
            profile=profile.name,
            terms=profile,
            client=ClientDescription(target=values[CLIENT] or values[EXEC]),
            fail_on=values[FAIL_ON],
            selected=[clause.id for clause in CATALOGUE if clause in values[ONLY]],
            interrupted=True,
        ),
    )
    with contextlib.suppress(OSError):  # the process that reads the output has closed it
        print_report(report)
    try:
        write_outputs(report, values.files())
    except OutputError as error:
        print_error(str(error))


def _listed(values: Values) -> dict[str, KnownFailure]:
    """Read the known-failures files. Raises click.UsageError for an invalid file."""
    known, written = values[KNOWN], values[WRITE_KNOWN]
    # Checked before the run, which may take minutes.
    problem = problem_with_output(str(written)) if written else ""
    if problem:
        raise click.UsageError(f"{values.spelled(WRITE_KNOWN)} {written}: {problem}")
    # The file that is written is read as well, so that its entries keep their reasons and dates.
    files = [*([known] if known else ()), *([written] if written and written.is_file() else ())]
    try:
        tables = [read_known_failures(file) for file in files]
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    # Later tables override earlier ones, so entries of the file that is written win.
    return {clause_id: entry for table in tables for clause_id, entry in table.items()}


def _write_known(
    path: Path, before: dict[str, KnownFailure], collector: VerdictCollector | None
) -> int:
    """Update the known-failures file, print the changes, and return the exit status.

    A run that was interrupted, or in which the kit failed, changes nothing.

    Comments and the order of entries in the user's file stay as they are.
    """
    from mockbroker.report.known_text import updated_text  # noqa: PLC0415 - tomlkit only if used

    if collector is None or collector.report.exit_status not in _JUDGED:
        print_line(Line(f"  {path.name} was not written: the run came to no verdict", "purple"))
        return 0
    entries = known_failures_of(collector.report, before, collector.examples)
    try:
        # As bytes, because reading as text would convert the line ends.
        text = path.read_bytes().decode() if path.is_file() else ""
        # A file of the user keeps its line ends, or a version control system shows every line as
        # changed.
        line_end = "\r\n" if "\r\n" in text else "\n"
        changed = updated_text(text.replace("\r\n", "\n"), entries)
        path.write_text(changed, encoding="utf-8", newline=line_end)
    except OSError as error:
        print_error(f"cannot write {path.name}: {error.strerror}")
        return int(pytest.ExitCode.INTERNAL_ERROR)
    listed = {entry.clause_id: entry.reason for entry, _ in entries}
    to_do = list(listed.values()).count(TODO)
    reasons = "a reason" if to_do == 1 else "reasons"
    needed = f"; replace the {_counted(to_do, 'TODO')} with {reasons}" if to_do else ""
    print_line(Line(f"  Wrote {path.name} with {_counted(len(listed), 'known failure')}{needed}"))
    for clause_id in sorted(before.keys() - listed.keys()):
        print_line(Line(f"    removed {clause_id}: it passes"))
    return 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
