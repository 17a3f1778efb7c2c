"""`mockbroker check`: the contract run without any of the user's pytest settings."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

import contract_tests
from contract_tests.run import RunSettings
from mockbroker.profiles import ConfigError
from pytest_plugin.known import KnownFailures
from pytest_plugin.known_file import known_failures_as_toml, read_known_failures
from pytest_plugin.known_update import update_known
from pytest_plugin.settings import problem_with, problem_with_output, today
from pytest_plugin.terminal import Line, plain, render, width_of
from pytest_plugin.verdicts import VerdictCollector

__all__ = ["check"]

_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_LEVELS = ("must", "should", "may", "practice")


def _readable(_context: click.Context, _parameter: click.Parameter, file: str | None) -> str | None:
    """The whole path of a file of known failures that can be used."""
    if file is None:
        return None
    _known_failures(file)
    return str(Path(file).resolve())


def _known_failures(file: str) -> KnownFailures:
    try:
        return read_known_failures(Path(file), today())
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


class _KnownRecord:
    """The file of known failures into which a run is written."""

    def __init__(self, file: str, before: KnownFailures) -> None:
        self._file, self._path, self._before = file, Path(file).resolve(), before

    def write(self, collector: VerdictCollector | None) -> None:
        """Write what was found, and tell how that changed the file."""
        if collector is None:
            _echo(Line(f"  {self._file} was not written: the run came to no verdict", "purple"))
            return
        update = update_known(collector.report, self._before, collector.examples)
        text = known_failures_as_toml(update.entries)
        try:
            self._path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise click.ClickException(f"cannot write {self._file}: {error.strerror}") from error
        to_do = f", to be given a reason where it says TODO: {update.to_do}" if update.to_do else ""
        _echo(Line(f"  {self._file} written; known failures: {len(update.entries)}{to_do}"))
        for remark in update.remarks:
            _echo(Line(f"    {remark}"))


def _open_record(
    _context: click.Context, _parameter: click.Parameter, file: str | None
) -> _KnownRecord | None:
    if file is None:
        return None
    problem = problem_with_output(file)
    if problem:
        raise click.BadParameter(f"{file}: {problem}")
    exists = Path(file).exists()
    return _KnownRecord(file, _known_failures(file) if exists else KnownFailures(file, today()))


@click.command()
@click.argument("target", metavar="TARGET")
@click.option("--profile", default="autograb", show_default=True, metavar="NAME")
@click.option("--fail-on", type=click.Choice(_LEVELS), default="must", show_default=True)
@click.option(
    "--only",
    default="",
    metavar="PATTERN",
    help="Clauses whose id holds it: refresh, or basic.utf8",
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
    "--known",
    metavar="FILE",
    callback=_readable,
    help="Failures that are expected, in TOML.",
)
@click.option(
    "--write-known",
    "record",
    metavar="FILE",
    callback=_open_record,
    help="Write the failures as known ones; what is said of them there is kept.",
)
@click.option("--json", "json_file", default="", metavar="FILE", help="Write the report.")
@click.pass_context
def check(context: click.Context, /, target: str, **options: Any) -> None:
    """Check a client against the contract.

    TARGET is package.module:factory or path/to/file.py:factory; the factory is make_client
    unless named. It takes a ClientConfig and returns the client, which offers get_token(),
    request(method, url) or both.
    """
    problem = problem_with(
        client=target,
        profile=options["profile"],
        only=options["only"],
        json=options["json_file"],
        prefix="--",
    )
    if problem:
        raise click.UsageError(problem)
    progress = _Progress()
    with _isolated():
        status = pytest.main(_arguments(target, options), plugins=[progress])
    if progress.stopped_by:
        raise click.UsageError(progress.stopped_by)
    if options["record"]:
        options["record"].write(progress.collector if status in _JUDGED else None)
    context.exit(int(status))


def _arguments(target: str, options: dict[str, Any]) -> list[str]:
    here, scenarios = Path(__file__).parent, Path(contract_tests.__file__).parent
    arguments = [str(scenarios), "--confcutdir", str(scenarios), "-c", str(here / "check.ini")]
    arguments += ["-p", "pytest_plugin.plugin", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += ["-p", "no:faulthandler", "-p", "no:logging", "-p", "no:warnings"]
    arguments += ["--contract-client", target, "--contract-profile", options["profile"]]
    arguments += ["--contract-fail-on", options["fail_on"]]
    arguments += ["--contract-examples", str(options["examples"])]
    if options["explore"]:
        arguments += ["--contract-explore"]
    if options["seed"] is not None:
        arguments += ["--contract-seed", str(options["seed"])]
    if options["json_file"]:
        arguments += ["--contract-json", str(Path(options["json_file"]).resolve())]
    if options["known"]:
        arguments += ["--contract-known", options["known"]]
    if options["only"]:
        arguments += ["--contract-only", options["only"]]
    return arguments


@contextmanager
def _isolated() -> Iterator[None]:
    """No plugins but ours, no options but ours, and nothing written where the user works."""
    before = dict(os.environ)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="mockbroker-") as storage:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = storage
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


class _Progress:
    """Says how far the run is, on a terminal, and prints the report when it is done."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._config: pytest.Config | None = None
        self._total = self._done = 0
        self.stopped_by = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

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
        if report.failed and report.when != "call":
            self._show("")
            click.echo(report.longreprtext, err=True)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            click.echo(report.longreprtext, err=True)

    def pytest_internalerror(self, excrepr: object) -> None:
        click.echo(str(excrepr), err=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._show("")
        collector = self.collector
        if collector and collector.has_report:
            width = width_of(shutil.get_terminal_size((100, 24)).columns)
            for line in render(collector.report, width):
                _echo(line)

    @property
    def collector(self) -> VerdictCollector | None:
        """What has gathered the verdicts; None if the run did not come so far."""
        found = self._config and self._config.pluginmanager.get_plugin(VerdictCollector.NAME)
        return found if isinstance(found, VerdictCollector) else None

    def _show(self, text: str) -> None:
        if self._on_terminal:
            click.echo(f"\r\x1b[K{plain(text, sys.stderr.encoding)}", nl=False, err=True)


def _echo(line: Line) -> None:
    styles: dict[str, dict[str, Any]] = {
        "": {},
        "bold": {"bold": True},
        "faint": {"dim": True},
        "purple": {"fg": "magenta"},
    }
    text = plain(line.text, sys.stdout.encoding)
    click.echo(click.style(text, **styles.get(line.style, {"fg": line.style})))
