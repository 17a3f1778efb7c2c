"""`mockbroker check`: the contract run without any of the user's pytest settings."""

from __future__ import annotations

import os
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
from pytest_plugin.printing import print_report
from pytest_plugin.settings import problem_with
from pytest_plugin.terminal import plain
from pytest_plugin.verdicts import VerdictCollector

__all__ = ["check"]

_LEVELS = ("must", "should", "may", "practice")


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
        collector = self._config and self._config.pluginmanager.get_plugin(VerdictCollector.NAME)
        if isinstance(collector, VerdictCollector) and collector.has_report:
            print_report(collector.report)

    def _show(self, text: str) -> None:
        if self._on_terminal:
            click.echo(f"\r\x1b[K{plain(text, sys.stderr.encoding)}", nl=False, err=True)
