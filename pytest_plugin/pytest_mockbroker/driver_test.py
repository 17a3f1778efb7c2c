"""The `mockbroker driver-test` command: checks a driver before any clause is judged.

The command needs no pytest session: its checks are steps of one conversation, and not clauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mockbroker.cli.click_options import with_options
from mockbroker.cli.options import COPY, EXEC, Values
from mockbroker.cli.printing import print_line
from mockbroker.report.terminal_lines import Line

if TYPE_CHECKING:
    from mockbroker_contract.harness.driver_checks import DriverCheck

__all__ = ["driver_test"]

_FAILED = 1


@click.command("driver-test")
@with_options((EXEC, COPY))
@click.pass_context
def driver_test(context: click.Context, /, values: Values) -> None:
    """Check a driver program step by step, and report each problem.

    Exit status: 0 without a problem, 1 with one, 4 if the program cannot be started.
    """
    command = values[EXEC]
    if not command:
        raise click.UsageError("no driver is named; pass its command: --exec COMMAND")
    # Hypothesis and Flask, which --help and a wrong option need not wait for.
    from mockbroker_contract.drivers.target import TargetError  # noqa: PLC0415
    from mockbroker_contract.harness.driver_checks import check_driver  # noqa: PLC0415
    from pytest_mockbroker.settings import argv_of  # noqa: PLC0415

    try:
        argv = argv_of(command)
        print_line(Line(f"The driver protocol · {command}", "bold"))
        print_line(Line())
        # Printed one by one, because a step may take as long as its deadline.
        results = [_printed(checked) for checked in check_driver(argv, values[COPY])]
    except (TargetError, OSError) as error:
        raise click.UsageError(str(error)) from error
    # A skipped step has a problem as well: the reason why it was not tried.
    wrong = sum(bool(checked.problem) and not checked.is_skipped for checked in results)
    print_line(Line())
    if wrong:
        print_line(Line(f"  ✗ {wrong} of {len(results)} steps failed", "red"))
        context.exit(_FAILED)
    print_line(Line("  ✓ the driver is ready: mockbroker check --exec …", "green"))


def _printed(checked: DriverCheck) -> DriverCheck:
    if checked.is_skipped:
        print_line(Line(f"  - {checked.what} ({checked.problem})", "faint"))
    elif checked.problem:
        print_line(Line(f"  ✗ {checked.what}", "red"))
        for line in checked.problem.splitlines():
            print_line(Line(f"      {line}", "red"))
    else:
        print_line(Line(f"  ✓ {checked.what}"))
    return checked
