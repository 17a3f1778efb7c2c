"""The command line: `mockbroker serve`, `clauses`, `explain`, and commands of other packages.

`check` and other commands that need pytest are registered by entry points of their own packages.
This package imports none of them.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from mockbroker.cli.made_broker import find_profile
from mockbroker.cli.serve import announce, listening, serve_and_log
from mockbroker.cli.serve_options import (
    ServeSettings,
    client_option,
    config_option,
    file_options,
    log_options,
    profile_option,
    serve_options,
    sharing_options,
)
from mockbroker.cli.stop_signals import StopSignals
from mockbroker.cli.streams import echo, escape_unencodable_output, replace_closed_streams
from mockbroker.model.escaping import printable_lines
from mockbroker.processes.signals import release_signals

if TYPE_CHECKING:
    from mockbroker.contract.clause import Clause
    from mockbroker.model.credentials import Credentials

__all__ = ["CommandWithSignals", "cli", "main"]

# The group's name in pyproject.toml, and in that of a package that adds a command.
COMMAND_GROUP = "mockbroker.commands"
WRONG, INTERRUPTED, INTERNAL_ERROR, USAGE_ERROR = 1, 2, 3, 4
"""Exit statuses, the same as pytest's."""


class CommandWithSignals(click.Command):
    """A command that sets its own signal handlers and calls `release_signals` afterwards.

    For every other command the group releases the signals before the command runs, with the
    default actions of Python.
    """


class _Commands(click.Group):
    """The commands of this module, and those that packages register as entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(e.name for e in _registered())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Commands of other packages are looked up last and loaded only when named: loading `check`
        # imports pytest.
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = [entry for entry in _registered() if entry.name == cmd_name]
        if found:
            _require_working_directory()
        command: click.Command | None = found[0].load() if found else None
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        # After loading: a signal that arrived during the import ends the command here.
        if not isinstance(command, CommandWithSignals):
            release_signals()
        return name, command, rest


def _require_working_directory() -> None:
    """Raise click.UsageError if the working directory was removed or its path is too long."""
    try:
        Path.cwd().stat()
    except PermissionError:  # the files that the command needs may still be readable
        return
    except OSError as error:
        raise click.UsageError(
            f"the working directory cannot be used: {error.strerror}; change to another one"
        ) from None


def _registered() -> Any:
    """Return the entry points of commands, also of packages that are not this project's."""
    return entry_points(group=COMMAND_GROUP)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mockbroker")
def cli() -> None:
    """Run a fake auth-broker, and check OAuth 2.0 client-credentials clients against it."""


def main() -> NoReturn:
    """Run the command line and end the process.

    A usage error is one sentence and exit status 4.

    The exit status is that of the command, or 3 for an error of mockbroker itself. It is 2 after
    Ctrl-C in a command that does not handle it.
    """
    # Before anything is opened, since a new file could take the number of a closed stream.
    replace_closed_streams()
    escape_unencodable_output()
    _leave(_status())


def _status() -> int:
    """Run the command and return its exit status; print the message of an error."""
    try:
        # Not standalone: click would exit by itself, with 1 and 2 where pytest has other meanings.
        status = cli.main(prog_name="mockbroker", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message())
        return USAGE_ERROR
    except click.ClickException as error:
        echo(printable_lines(f"mockbroker: {error.format_message()}"), err=True)
        return USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    # Status 3 means that mockbroker failed and has no verdict on the client. Python's
    # own status for an exception is 1, which means that the client does not conform.
    except Exception:  # noqa: BLE001 - see above
        click.echo(printable_lines(traceback.format_exc()), err=True)
        return INTERNAL_ERROR
    return status if isinstance(status, int) else 0


def _leave(status: int) -> NoReturn:
    """End the process with that exit status, or 3 if an output stream could not be flushed."""
    # Flushed here: at its own exit Python would report a failure with status 120 and a traceback.
    were_flushed = [_is_flushed(stream) for stream in (sys.stdout, sys.stderr)]
    sys.exit(status if all(were_flushed) else status or INTERNAL_ERROR)


def _is_flushed(stream: IO[str]) -> bool:
    """Flush the stream; return whether that worked or the reader of the stream is gone."""
    try:
        stream.flush()
    except OSError as error:
        # Python flushes again at its exit; that would fail too and change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return isinstance(error, BrokenPipeError)
    except (AttributeError, ValueError):  # no such stream, or it was closed
        return False
    return True


@cli.command(cls=CommandWithSignals, short_help="Run the broker until Ctrl-C; log each request.")
@serve_options
@sharing_options
@file_options
@log_options
def serve(settings: ServeSettings) -> None:
    """Run the broker until Ctrl-C, and log what is wrong with each request."""
    signals = StopSignals()
    if settings.quiet and settings.verbose_log:
        raise click.UsageError("--quiet and --verbose contradict each other; keep one")
    if settings.issuers and settings.state is not None:
        raise click.UsageError(
            "--issuer does not go with --state: issuers would share their tokens"
        )
    from mockbroker.cli.published_files import published  # noqa: PLC0415 - Flask only if served
    from mockbroker.cli.scenario_run import (  # noqa: PLC0415 - Flask only if served
        running_scenario,
        scenario_of,
    )

    scenario = scenario_of(settings)
    if settings.workers > 1:
        from mockbroker.cli.workers import serve_by_workers  # noqa: PLC0415 - only when needed

        serve_by_workers(settings, signals)
        return
    from mockbroker.cli.further_issuers import (  # noqa: PLC0415 - Flask only if served
        make_issuers,
        mounted_issuers,
        with_clients,
    )

    settings = with_clients(settings)
    issuers = make_issuers(settings)
    with (
        listening(settings) as (broker, server),
        running_scenario(scenario, broker),
        published(settings, broker),
    ):
        announce(broker, server.control_token)
        with mounted_issuers(settings, issuers, server):
            serve_and_log((broker, *issuers.values()), server, signals)


@cli.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN...]")
@profile_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def clauses(
    patterns: tuple[str, ...],
    profile: str,
    config: Path | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Print the clauses of the contract in the terms of a profile.

    A PATTERN is the id of a clause (refresh.ahead), a chapter (refresh), a level (must) or a
    wildcard ('basic.*'), as with `mockbroker check --only`. With a PATTERN, each clause is printed
    with its reason and with the fix for a client that breaks it.
    """
    from mockbroker.contract.catalogue import CATALOGUE, CHAPTERS  # noqa: PLC0415
    from mockbroker.contract.selection import SelectionError, select  # noqa: PLC0415

    try:
        selection = select(patterns, CATALOGUE)
    except SelectionError as error:
        raise click.UsageError(str(error)) from error
    terms = find_profile(profile, config)
    chosen = [entry.for_profile(terms) for entry in CATALOGUE if entry in selection]
    if as_json:
        echo(json.dumps([_clause_row(c) for c in chosen], indent=2))
        return
    for chapter in CHAPTERS:
        members = [entry for entry in chosen if entry.chapter == chapter]
        if members:
            echo(click.style(chapter, bold=True))
        for entry in members:
            _print_clause(entry, with_guidance=bool(selection))


def _print_clause(entry: Clause, *, with_guidance: bool) -> None:
    """Print a clause with its level and sources; ``with_guidance`` adds why and fix.

    The second and further lines are indented by the width of a level, so that they stand below the
    id.
    """
    echo(f"  {entry.level.value:<8} {entry.id}: {entry.title}")
    if entry.sources:
        echo(" " * 11 + "; ".join(str(source) for source in entry.sources))
    if with_guidance:
        for label, text in (("Why", entry.why), ("Fix", entry.fix)):
            # With the indent of 11 a line has at most 100 columns.
            lines = textwrap.wrap(f"{label}: {text}", 89)
            echo(textwrap.indent("\n".join(lines), " " * 11))


def _clause_row(entry: Clause) -> dict[str, object]:
    """Return a clause as values for JSON."""
    return {
        "id": entry.id,
        "level": entry.level.value,
        "title": entry.title,
        "sources": [str(source) for source in entry.sources],
        "impact": entry.impact.value,
        "passive": entry.is_passive,
        "why": entry.why,
        "fix": entry.fix,
    }


@cli.command(short_help="Explain a raw HTTP request or a curl command.")
@client_option("Registered client, that of the request by default.")
@profile_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(
    clients: tuple[Credentials, ...],
    profile: str,
    config: Path | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> int:
    """Explain what is wrong with a raw HTTP request or a curl command from stdin.

    The exit status is 0 if nothing is wrong, 1 if something is, and 4 if the text cannot be read.
    """
    from mockbroker.cli.explain import UnreadableRequestError  # noqa: PLC0415
    from mockbroker.cli.explain import explain as explain_pasted  # noqa: PLC0415

    # On stderr, so that a pipe gets the explanation only.
    if sys.stdin.isatty():
        echo("Paste a raw HTTP request or a curl command, then press Ctrl-D.", err=True)
    try:
        pasted = sys.stdin.buffer.read()
        explanation = explain_pasted(pasted, find_profile(profile, config), clients)
    except UnreadableRequestError as error:
        raise click.ClickException(str(error)) from error
    # Escaped line by line, because a request may hold sequences that a terminal obeys.
    text = printable_lines("\n".join(explanation.lines()))
    echo(json.dumps(explanation.as_json(), indent=2) if as_json else text)
    return 0 if explanation.is_right else WRONG
