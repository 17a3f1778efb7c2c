"""The `mockbroker audit` command: serve an unchanged app, and judge its traffic.

This module has the options only, and imports nothing slow.
"""

from __future__ import annotations

from dataclasses import replace

import click

from mockbroker.cli.click_options import with_options
from mockbroker.cli.commands import CommandWithSignals
from mockbroker.cli.options import AUDIT_OPTIONS, Values
from mockbroker.cli.serve_options import ServeSettings, file_options, serve_options
from mockbroker.cli.stop_signals import StopSignals

__all__ = ["audit"]


@click.command(cls=CommandWithSignals, short_help="Run the broker for an app; judge the app.")
@serve_options
@file_options
@with_options(AUDIT_OPTIONS)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=TEXT",
    help="A variable for COMMAND; {token_url}, {api_url}, {client_id}, {client_secret} and "
    "{ca_file} are filled in. By default TOKEN_URL, API_URL, CLIENT_ID, CLIENT_SECRET, CA_FILE.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_context
def audit(
    context: click.Context,
    /,
    *,
    settings: ServeSettings,
    values: Values,
    variables: tuple[str, ...],
    command: tuple[str, ...],
) -> None:
    """Run the broker for an unchanged app; judge its traffic on Ctrl-C.

    The broker serves as `mockbroker serve` does. Press Enter, or send SIGUSR1, for the verdict so
    far. With a COMMAND, audit runs it with the broker's URLs and credentials in environment
    variables, and judges when it ends. The port is then a free one by default, and Enter goes to
    the COMMAND.
    Exit status: that of a COMMAND that fails; else 0 no violation seen, 1 a violation, 3 a report
    could not be written, 5 nothing was tested.
    """
    # First, so that a signal during the imports, or while the broker is made, still leads to a
    # report.
    signals = StopSignals()
    from mockbroker.cli.audit_run import run_audit  # noqa: PLC0415 - Flask only if served

    if command and context.get_parameter_source("port") is click.core.ParameterSource.DEFAULT:
        # A COMMAND gets the port by its environment, so it need not be fixed. Two audits at once,
        # as in a CI job, then do not compete for one.
        settings = replace(settings, port=0)
    context.exit(run_audit(settings, values, variables, command, signals))
