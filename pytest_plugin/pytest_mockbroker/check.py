"""The `mockbroker check` command: the contract run without any of the user's pytest settings.

The clauses are pytest tests, so the command runs a pytest session of its own. The user's settings
and plugins are kept out of it: a verdict must not depend on them.

This module has the options only, and imports nothing slow.
"""

from __future__ import annotations

import click

from mockbroker.cli.click_options import with_options
from mockbroker.cli.commands import CommandWithSignals
from mockbroker.cli.options import CHECK_OPTIONS, CLIENT, EXEC, Values
from mockbroker_contract.isolation.own_pytest import without_hypothesis_plugins
from pytest_mockbroker.interruption import Interruption

__all__ = ["check"]


@click.command(cls=CommandWithSignals)
@with_options(CHECK_OPTIONS)
@click.pass_context
def check(context: click.Context, /, values: Values) -> None:
    """Check a client against the contract.

    TARGET is package.module:factory or path/to/file.py:factory; the factory is make_client
    unless named. It takes a ClientConfig and returns the client, which offers get_token(),
    request(method, url) or both.

    A client in another language is driven by a program: --exec "node driver.js".

    Exit status: 0 nothing failed, 1 the client does not conform, 2 interrupted or out of time,
    3 the kit failed or a report cannot be written, 4 usage error or unusable client, 5 nothing
    was tested.
    """
    if not values[CLIENT] and not values[EXEC]:
        raise click.UsageError("no client is named; pass a TARGET, or a program: --exec COMMAND")
    # Before anything slow: a Ctrl-C during an import leaves a report as well.
    with Interruption() as interruption:
        with without_hypothesis_plugins():
            # pytest, Hypothesis and Flask, which --help and a wrong option need not wait for.
            from pytest_mockbroker.check_run import run_check  # noqa: PLC0415

        status = run_check(values, interruption)
    context.exit(status)
