"""The command line: `mockbroker serve`, `clauses`, `explain`, and what others add to it."""

from __future__ import annotations

import json
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockbroker.own_packages import OWN_PACKAGES, load_own_package
from mockbroker.serving import (
    ServeSettings,
    StopSignals,
    announce,
    client_option,
    config_option,
    find_profile,
    listening,
    profile_option,
    serve_and_log,
    serve_options,
)

if TYPE_CHECKING:
    from mockbroker.spec.clause import Clause
    from mockbroker.spec.credentials import Credentials

__all__ = ["cli", "main"]

COMMAND_GROUP = "mockbroker.commands"
USAGE_ERROR, INTERRUPTED = 4, 2
"""Exit statuses, as pytest's: a usage error, and an interruption."""


class _Commands(click.Group):
    """The commands here, and those that other packages register as entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(e.name for e in _registered())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = [entry for entry in _registered() if entry.name == cmd_name]
        for name in OWN_PACKAGES if found else ():
            load_own_package(name)
        command: click.Command | None = found[0].load() if found else None
        return command


def _registered() -> Any:
    return entry_points(group=COMMAND_GROUP)


@click.group(cls=_Commands)
@click.version_option(package_name="mockbroker")
def cli() -> None:
    """Run a fake auth-broker, and check OAuth 2.0 client-credentials clients against it."""


def main() -> None:
    """Run the command line; a usage error is one sentence and exit status 4."""
    try:
        status = cli.main(prog_name="mockbroker", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = USAGE_ERROR
    except click.ClickException as error:
        click.echo(f"mockbroker: {error.format_message()}", err=True)
        status = USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)


@cli.command()
@serve_options
def serve(settings: ServeSettings) -> None:
    """Run the broker until Ctrl-C, saying what is wrong with each request."""
    signals = StopSignals()
    with listening(settings) as (broker, server):
        announce(broker)
        serve_and_log(broker, server, signals)


@cli.command()
@click.argument("pattern", default="*", metavar="[PATTERN]")
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def clauses(pattern: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the clauses of the contract.

    Those whose id holds or matches PATTERN are told with why they are there, and how a client
    that breaks them is mended.
    """
    from mockbroker.spec.catalogue import CATALOGUE, CHAPTERS, is_meant  # noqa: PLC0415

    chosen = [entry for entry in CATALOGUE if is_meant(entry.id, pattern)]
    if not chosen:
        raise click.UsageError(f"no clause matches {pattern!r}; `mockbroker clauses` lists them")
    if as_json:
        click.echo(json.dumps([_clause_row(c) for c in chosen], indent=2, ensure_ascii=False))
        return
    for chapter in CHAPTERS:
        members = [entry for entry in chosen if entry.chapter == chapter]
        if members:
            click.echo(click.style(chapter, bold=True))
        for entry in members:
            _print_clause(entry, with_guidance=pattern != "*")


def _print_clause(entry: Clause, *, with_guidance: bool) -> None:
    click.echo(f"  {entry.level.value:<8} {entry.id}: {entry.title}")
    if entry.sources:
        click.echo(" " * 11 + "; ".join(str(source) for source in entry.sources))
    if with_guidance:
        from mockbroker.spec.guidance import GUIDANCE  # noqa: PLC0415 - only when needed

        guidance = GUIDANCE[entry.id]
        for label, text in (("Why", guidance.why), ("To mend it", guidance.mend)):
            lines = textwrap.wrap(f"{label}: {text}", 89)
            click.echo(textwrap.indent("\n".join(lines), " " * 11))


def _clause_row(entry: Clause) -> dict[str, object]:
    from mockbroker.spec.guidance import GUIDANCE  # noqa: PLC0415 - only when needed

    guidance = GUIDANCE[entry.id]
    return {
        "id": entry.id,
        "level": entry.level.value,
        "title": entry.title,
        "sources": [str(source) for source in entry.sources],
        "passive": entry.passive,
        "why": guidance.why,
        "mend": guidance.mend,
    }


@cli.command()
@client_option
@profile_option
@config_option
def explain(clients: tuple[Credentials, ...], profile: str, config: Path | None) -> None:
    """Read a raw HTTP request or a curl command from stdin; say what is wrong with it."""
    from mockbroker.explain import UnreadableRequestError, explain_text  # noqa: PLC0415

    if sys.stdin.isatty():
        click.echo("Paste a raw HTTP request or a curl command, then press Ctrl-D.", err=True)
    try:
        text = explain_text(sys.stdin.buffer.read(), find_profile(profile, config), clients)
    except UnreadableRequestError as error:
        raise click.ClickException(str(error)) from error
    click.echo(text)
