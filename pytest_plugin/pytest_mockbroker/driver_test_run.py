"""What `mockbroker driver-test` does: it checks a driver before any clause is judged.

It needs no pytest session: its checks are steps of one conversation, and not clauses.
"""

from __future__ import annotations

import click

from mockbroker.cli.printing import print_line
from mockbroker.report.terminal_lines import Line
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.driver_checks import DriverCheck, check_driver
from pytest_mockbroker.settings import argv_of

__all__ = ["run_driver_test"]

_FAILED = 1


def run_driver_test(command: str, copies: tuple[str, ...]) -> int:
    """Check the driver that the command starts, print each step, and return the exit status.

    ``copies`` are paths of files and folders that the driver reads. Raises click.UsageError if the
    program cannot be started.
    """
    try:
        argv = argv_of(command)
        print_line(Line(f"The driver protocol · {command}", "bold"))
        print_line(Line())
        # Printed one by one, because a step may take as long as its deadline.
        results = [_printed(checked) for checked in check_driver(argv, copies)]
    except (TargetError, OSError) as error:
        raise click.UsageError(str(error)) from error
    # A skipped step has a problem as well: the reason why it was not tried.
    wrong = sum(bool(checked.problem) and not checked.is_skipped for checked in results)
    print_line(Line())
    if wrong:
        print_line(Line(f"  ✗ {wrong} of {len(results)} steps failed", "red"))
        return _FAILED
    print_line(Line("  ✓ the driver is ready: mockbroker check --exec …", "green"))
    return 0


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
