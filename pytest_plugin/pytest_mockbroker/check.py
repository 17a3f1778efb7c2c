"""`mockbroker check`: the contract run without any of the user's pytest settings."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

from mockbroker.broker.profiles import ConfigError
from mockbroker.cli.commands import CommandWithSignals
from mockbroker.cli.output_options import output_options
from mockbroker.cli.printing import print_line, print_report
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Level
from mockbroker.contract.selection import is_meant
from mockbroker.processes.signals import release_signals
from mockbroker.report.formats import OUTPUTS, OutputError, problem_with_output, write_outputs
from mockbroker.report.known_failures import KnownFailure, examples_of
from mockbroker.report.known_file import (
    TODO,
    known_failures_as_toml,
    known_failures_of,
    read_known_failures,
)
from mockbroker.report.report import ClientDescription, build_report
from mockbroker.report.terminal import Line, plain
from mockbroker_contract import clauses
from mockbroker_contract.harness.run import RunSettings
from pytest_mockbroker.collector import VerdictCollector, gravest
from pytest_mockbroker.interruption import Interruption
from pytest_mockbroker.settings import BUDGET_SECONDS, REPLAYS, problem_with

__all__ = ["check"]

_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_LEVELS = ("must", "should", "may", "practice")


@click.command(cls=CommandWithSignals)
@click.argument("target", metavar="[TARGET]", default="")
@click.option(
    "--exec",
    "command",
    default="",
    metavar="COMMAND",
    help="A program that drives the client instead, in JSON lines; run without a shell.",
)
@click.option("--profile", default="autograb", show_default=True, metavar="NAME")
@click.option("--fail-on", type=click.Choice(_LEVELS), default="must", show_default=True)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Clauses whose id holds or matches it: refresh, basic.utf8, 'signing.*'. May be given "
    "several times, or several with commas.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=RunSettings().examples,
    show_default=True,
    help="Examples to draw for a clause.",
)
@click.option("--explore", is_flag=True, help="Draw examples at random, not always the same.")
@click.option("--seed", type=click.IntRange(min=0), help="Explore again with that seed.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    default=BUDGET_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How much real time the run may take; 0 is no limit.",
)
@click.option(
    "--copy",
    "copies",
    multiple=True,
    metavar="PATH",
    help="A file or folder that the client reads: it lives in an empty folder of its own, and "
    "finds a copy there. May be given several times.",
)
@click.option("--show-output", is_flag=True, help="Print what the client writes, on stderr.")
@click.option("--known", default="", metavar="FILE", help="Failures that are expected, in TOML.")
@click.option(
    "--write-known",
    default="",
    metavar="FILE",
    help="Write the failures as known ones; what is said of them there is kept.",
)
@output_options
@click.pass_context
def check(context: click.Context, /, target: str, **options: Any) -> None:
    """Check a client against the contract.

    TARGET is package.module:factory or path/to/file.py:factory; the factory is make_client
    unless named. It takes a ClientConfig and returns the client, which offers get_token(),
    request(method, url) or both.

    A client in another language is driven by a program: --exec "node driver.js".

    Exit status: 0 nothing failed, 1 the client does not conform, 2 interrupted or out of time,
    3 the kit failed or a report cannot be written, 4 usage error or unusable client, 5 nothing
    was tested.
    """
    if not target and not options["command"]:
        raise click.UsageError("which client? Name a TARGET, or a program: --exec COMMAND")
    with Interruption() as interruption:
        status = _checked(target, options, interruption)
    context.exit(status)


def _checked(target: str, options: dict[str, Any], interruption: Interruption) -> int:
    """Run the check and print its report, whatever happens; the exit status."""
    _require_usable(target, options)
    listed = _listed(options["known"], options["write_known"])
    written = Path(options["write_known"]).resolve()
    files = {name: str(Path(options[name]).resolve()) for name in OUTPUTS if options[name]}
    progress = _Progress(examples_of(listed), interruption)
    try:
        release_signals()
        with _isolated():
            status = int(pytest.main(_arguments(target, options, files), plugins=[progress]))
    except KeyboardInterrupt:
        status = int(pytest.ExitCode.INTERRUPTED)
    if progress.stopped_by:
        raise click.UsageError(progress.stopped_by)
    status = gravest(status, *progress.statuses)
    if progress.collector is None:
        status = _status_without_report(status, target, options, files)
    if options["write_known"]:
        status = gravest(status, _write_known(written, listed, progress.collector))
    return status


def _require_usable(target: str, options: dict[str, Any]) -> None:
    """Raise click.UsageError if the run cannot begin with these options."""
    problem = problem_with(
        client=target,
        command=options["command"],
        profile=options["profile"],
        only=",".join(options["only"]),
        known=options["known"] or options["write_known"],
        files={name: options[name] for name in OUTPUTS},
        prefix="--",
    )
    if problem:
        raise click.UsageError(problem)


def _status_without_report(
    status: int, target: str, options: dict[str, Any], files: dict[str, str]
) -> int:
    """The exit status of a run that pytest ended before any clause was collected."""
    if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        _complain("the kit came to no verdict on any clause")
        return int(pytest.ExitCode.INTERNAL_ERROR)
    if status == pytest.ExitCode.INTERRUPTED:
        _report_nothing(target, options, files)
    return status


def _report_nothing(target: str, options: dict[str, Any], files: dict[str, str]) -> None:
    """Print and write the report of a run that was interrupted before it had begun."""
    only = ",".join(options["only"])
    report = build_report(
        (),
        profile=options["profile"],
        client=ClientDescription(target=target or options["command"]),
        measured={},
        fail_on=Level(options["fail_on"].upper()),
        selected=[clause.id for clause in CATALOGUE if is_meant(clause.id, only)],
        interrupted=True,
    )
    with contextlib.suppress(OSError):  # nobody reads the output any more
        print_report(report)
    try:
        write_outputs(report, files)
    except OutputError as error:
        _complain(str(error))


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads the output any more
        click.echo(f"mockbroker: {plain(text, sys.stderr.encoding)}", err=True)


def _listed(known: str, written: str) -> dict[str, KnownFailure]:
    """What these files list already. Raises click.UsageError if one of them cannot be used."""
    problem = problem_with_output(written) if written else ""
    if problem:
        raise click.UsageError(f"--write-known {written}: {problem}")
    files = [*([known] if known else ()), *([written] if Path(written).is_file() else ())]
    try:
        tables = [read_known_failures(Path(file)) for file in files]
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    return {clause_id: entry for table in tables for clause_id, entry in table.items()}


def _write_known(
    path: Path, before: dict[str, KnownFailure], collector: VerdictCollector | None
) -> int:
    """Write what was found into the file, and tell how that changed it; the exit status.

    A run that was interrupted, or in which the kit failed, changes nothing.
    """
    if collector is None or collector.report.exit_status not in _JUDGED:
        print_line(Line(f"  {path.name} was not written: the run came to no verdict", "purple"))
        return 0
    entries = known_failures_of(collector.report, before, collector.examples)
    try:
        path.write_text(known_failures_as_toml(entries), encoding="utf-8", newline="\n")
    except OSError as error:
        _complain(f"cannot write {path.name}: {error.strerror}")
        return int(pytest.ExitCode.INTERNAL_ERROR)
    listed = {entry.clause_id: entry.reason for entry, _ in entries}
    to_do = list(listed.values()).count(TODO)
    needed = f", to be given a reason where it says TODO: {to_do}" if to_do else ""
    print_line(Line(f"  {path.name} written; known failures: {len(listed)}{needed}"))
    for clause_id in sorted(before.keys() - listed.keys()):
        print_line(Line(f"    {clause_id} was dropped: it passes"))
    return 0


def _arguments(target: str, options: dict[str, Any], files: dict[str, str]) -> list[str]:
    here, scenarios = Path(__file__).parent, Path(clauses.__file__).parent
    arguments = [str(scenarios), "--confcutdir", str(scenarios), "-c", str(here / "check.ini")]
    arguments += ["-p", "pytest_mockbroker.plugin", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += ["-p", "no:faulthandler", "-p", "no:logging", "-p", "no:warnings"]
    # A client writes to a pipe of ours; a debugger in it needs the terminal as it is.
    arguments += ["--capture", "no"]
    arguments += ["--assert", "plain"]  # it would write the scenarios anew, for no use
    # One chapter that cannot be imported takes no other along.
    arguments += ["--continue-on-collection-errors"]
    # It would collect garbage for a second in the end.
    arguments += ["-p", "no:unraisableexception"]
    arguments += ["--contract-profile", options["profile"]]
    if target:
        arguments += ["--contract-client", target]
    else:
        arguments += ["--contract-exec", options["command"]]
    arguments += ["--contract-fail-on", options["fail_on"]]
    arguments += ["--contract-examples", str(options["examples"])]
    if options["explore"]:
        arguments += ["--contract-explore"]
    if options["seed"] is not None:
        arguments += ["--contract-seed", str(options["seed"])]
    arguments += ["--contract-budget", str(options["budget"])]
    arguments += [f"--contract-copy={path}" for path in options["copies"]]
    if options["show_output"]:
        arguments += ["--contract-show-output"]
    for name, file in files.items():
        arguments += [f"--contract-{name.replace('_', '-')}", file]
    if options["known"]:
        arguments += ["--contract-known", str(Path(options["known"]).resolve())]
    if options["only"]:
        arguments += ["--contract-only", ",".join(options["only"])]
    return arguments


@contextmanager
def _isolated() -> Iterator[None]:
    """No plugins but ours, no options but ours, and nothing written where the user works."""
    before, unraisable = dict(os.environ), sys.unraisablehook
    sys.unraisablehook = _say_nothing  # what goes wrong in a client's __del__ is no verdict
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="mockbroker-", ignore_cleanup_errors=True) as storage:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = storage
        try:
            yield
        finally:
            sys.unraisablehook = unraisable
            os.environ.clear()
            os.environ.update(before)


def _say_nothing(_: object) -> None:
    """In the place of a hook that prints."""


class _Progress:
    """Says how far the run is, on a terminal, and prints the report when it is done."""

    def __init__(self, replays: dict[str, Any], interruption: Interruption) -> None:
        self._replays = replays
        self._interruption = interruption
        self._on_terminal = sys.stderr.isatty()
        self._config: pytest.Config | None = None
        self._total = self._done = 0
        self.stopped_by = ""
        self.statuses: list[int] = []
        """Exit statuses for what pytest does not take for an error."""
        self.collector: VerdictCollector | None = None
        """Where the report is, once it was to be printed; None if there was none."""

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config
        config.stash[REPLAYS] = self._replays

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._interruption.stop(session)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        name = nodeid.rpartition("/")[2].removeprefix("test_").replace(".py::test_", " · ")
        self._show(f"  [{self._done + 1}/{self._total}] {name}")
        self._done += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.stopped_by = excinfo.value.msg

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:  # a first answer, long before the report
            for line in report.longreprtext.splitlines()[:2]:
                self._show(line, end="\n")

    def pytest_internalerror(self, excrepr: object) -> bool:
        if self._found_collector() is None:  # else it is in the report
            for line in str(excrepr).splitlines():
                _complain(line)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Print the report, also if something else fails at the end of the session."""
        self._interruption.end()
        try:
            return (yield)
        finally:
            self._show("")
            self._print_report()

    def _found_collector(self) -> VerdictCollector | None:
        found = self._config and self._config.pluginmanager.get_plugin(VerdictCollector.NAME)
        return found if isinstance(found, VerdictCollector) and found.has_report else None

    def _print_report(self) -> None:
        collector = self.collector = self._found_collector()
        if collector is None:
            return
        try:
            print_report(collector.report)
        except OSError as error:
            self.statuses.append(pytest.ExitCode.INTERNAL_ERROR)
            _complain(f"cannot print the report: {error.strerror}")
        if collector.trouble:
            _complain(collector.trouble)

    def _show(self, text: str, end: str = "") -> None:
        if self._on_terminal:
            shown = plain(text, sys.stderr.encoding)
            with contextlib.suppress(OSError):  # the terminal is gone; the check goes on
                click.echo(f"\r\x1b[K{shown}{end}", nl=False, err=True)
