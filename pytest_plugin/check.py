"""`mockbroker check`: the contract run without any of the user's pytest settings."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

import contract_tests
from contract_tests.run import RunSettings
from mockbroker.profiles import ConfigError
from pytest_plugin.known import KnownFailure, examples_of
from pytest_plugin.known_file import (
    TODO,
    known_failures_as_toml,
    known_failures_of,
    read_known_failures,
)
from pytest_plugin.output_options import output_options
from pytest_plugin.outputs import OUTPUTS, problem_with_output
from pytest_plugin.printing import print_line, print_report
from pytest_plugin.settings import REPLAYS, problem_with
from pytest_plugin.terminal import Line, plain
from pytest_plugin.verdicts import VerdictCollector

__all__ = ["check"]

_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_LEVELS = ("must", "should", "may", "practice")


@click.command()
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
    """
    if not target and not options["command"]:
        raise click.UsageError("which client? Name a TARGET, or a program: --exec COMMAND")
    problem = problem_with(
        client=target,
        command=options["command"],
        profile=options["profile"],
        only=",".join(options["only"]),
        files={name: options[name] for name in OUTPUTS},
        prefix="--",
    )
    if problem:
        raise click.UsageError(problem)
    listed = _listed(options["known"], options["write_known"])
    written = Path(options["write_known"]).resolve()
    progress = _Progress(examples_of(listed))
    with _isolated():
        status = pytest.main(_arguments(target, options), plugins=[progress])
    if progress.stopped_by:
        raise click.UsageError(progress.stopped_by)
    if options["write_known"]:
        _write_known(written, listed, progress.collector if status in _JUDGED else None)
    _leave(context, int(status))


def _leave(context: click.Context, status: int) -> None:
    """Exit, also if the client has left threads behind for which Python would wait."""
    others = {*threading.enumerate()} - {threading.main_thread()}
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    context.exit(status)


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
) -> None:
    """Write what was found into the file, and tell how that changed it."""
    if collector is None:
        print_line(Line(f"  {path.name} was not written: the run came to no verdict", "purple"))
        return
    entries = known_failures_of(collector.report, before, collector.examples)
    try:
        path.write_text(known_failures_as_toml(entries), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.ClickException(f"cannot write {path.name}: {error.strerror}") from error
    listed = {entry.clause_id: entry.reason for entry, _ in entries}
    to_do = list(listed.values()).count(TODO)
    needed = f", to be given a reason where it says TODO: {to_do}" if to_do else ""
    print_line(Line(f"  {path.name} written; known failures: {len(listed)}{needed}"))
    for clause_id in sorted(before.keys() - listed.keys()):
        print_line(Line(f"    {clause_id} was dropped: it passes"))


def _arguments(target: str, options: dict[str, Any]) -> list[str]:
    here, scenarios = Path(__file__).parent, Path(contract_tests.__file__).parent
    arguments = [str(scenarios), "--confcutdir", str(scenarios), "-c", str(here / "check.ini")]
    arguments += ["-p", "pytest_plugin.plugin", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += ["-p", "no:faulthandler", "-p", "no:logging", "-p", "no:warnings"]
    arguments += ["--assert", "plain"]  # it would write the scenarios anew, for no use
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
    for name in OUTPUTS:
        if options[name]:
            file = str(Path(options[name]).resolve())
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
    with tempfile.TemporaryDirectory(prefix="mockbroker-") as storage:
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

    def __init__(self, replays: dict[str, Any]) -> None:
        self._replays = replays
        self._on_terminal = sys.stderr.isatty()
        self._config: pytest.Config | None = None
        self._total = self._done = 0
        self.stopped_by = ""
        self.collector: VerdictCollector | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config
        config.stash[REPLAYS] = self._replays

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
        if not report.failed:
            return
        if report.when != "call":
            self._show("")
            click.echo(report.longreprtext, err=True)
        elif self._on_terminal:  # a first answer, long before the report
            rule_and_what_was_found = report.longreprtext.splitlines()[:2]
            self._show("\n".join([*rule_and_what_was_found, ""]))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            click.echo(report.longreprtext, err=True)

    def pytest_internalerror(self, excrepr: object) -> None:
        click.echo(str(excrepr), err=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._show("")
        collector = self._config and self._config.pluginmanager.get_plugin(VerdictCollector.NAME)
        if isinstance(collector, VerdictCollector) and collector.has_report:
            self.collector = collector
            print_report(collector.report)
            if collector.trouble:
                click.echo(f"mockbroker: {collector.trouble}", err=True)

    def _show(self, text: str) -> None:
        if self._on_terminal:
            click.echo(f"\r\x1b[K{plain(text, sys.stderr.encoding)}", nl=False, err=True)
