"""The `mockbroker driver-test` command: its options; it imports nothing slow."""

from __future__ import annotations

import click

from mockbroker.cli.click_options import with_options
from mockbroker.cli.options import COPY, EXEC, Values

__all__ = ["driver_test"]


@click.command("driver-test")
@with_options((EXEC, COPY))
@click.pass_context
def driver_test(context: click.Context, /, values: Values) -> None:
    """Check a driver program step by step, and report each problem.

    Exit status: 0 without a problem, 1 with one, 4 if the program cannot be started.
    """
    if not values[EXEC]:
        raise click.UsageError("no driver is named; pass its command: --exec COMMAND")
    # Hypothesis and Flask, which --help and a wrong option need not wait for.
    from pytest_mockbroker.driver_test_run import run_driver_test  # noqa: PLC0415

    context.exit(run_driver_test(values[EXEC], values[COPY]))
