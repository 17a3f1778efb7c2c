"""The `mockbroker profiles` commands: their options; the module imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from mockbroker.cli.serve_options import config_option

__all__ = ["profiles"]

WRONG = 1


@click.group(invoke_without_command=True, short_help="List, show and check profiles of providers.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def profiles(context: click.Context, config: Path | None, *, as_json: bool) -> None:
    """List the profiles of providers: name, title and client authentication.

    They are those that ship with mockbroker, and those of the project: of the file given with
    --config, or else of the nearest pyproject.toml.
    """
    if context.invoked_subcommand is None:
        from mockbroker.cli.profiles_run import list_profiles  # noqa: PLC0415 - not for --help

        list_profiles(config, as_json=as_json)


@profiles.command(short_help="Show what a profile says, and where its facts come from.")
@click.argument("name", metavar="NAME")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the profile as JSON.")
def show(name: str, config: Path | None, *, as_json: bool) -> None:
    """Show what a profile says: in words, with the pages of its facts, and as TOML to copy.

    The number after a sentence is that of its page.
    """
    from mockbroker.cli.profiles_run import show_profile  # noqa: PLC0415 - not for --help

    show_profile(name, config, as_json=as_json)


@profiles.command(short_help="Say what is wrong with the profiles of a file, or what they mean.")
@click.argument(
    "file", metavar="FILE.toml", type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
def check(file: Path) -> int:
    """Check the profiles that a file describes in tables [profiles.NAME].

    For a right profile the command prints what it means, and tries it: a broker of the profile
    gets a token request of its dialect, then a call to the API.

    Exit status: 0 all profiles are right, 1 one of them is not, 4 the file cannot be read.
    """
    from mockbroker.cli.profiles_run import check_profiles  # noqa: PLC0415 - not for --help

    return 0 if check_profiles(file) else WRONG
