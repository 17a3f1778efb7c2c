"""The `mockbroker init` command: write a file to begin with, and name the next commands."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from mockbroker.cli.starting_files import PROJECT_FILES, STARTING_FILES, Choice, choose
from mockbroker.cli.streams import echo

__all__ = ["init"]


@click.command()
@click.option(
    "--for",
    "kind",
    type=click.Choice(list(STARTING_FILES)),
    help="What your client is made with; by default what the files of the project name.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def init(kind: str | None, *, force: bool) -> None:
    """Write a client, or a driver, to begin with.

    It is written into the working directory. The output names the commands to run next.
    """
    choice = choose(_project()) if kind is None else Choice(kind, "")
    starting = STARTING_FILES[choice.kind]
    template = files("mockbroker.cli") / "templates" / starting.template
    _write(Path(starting.name), template.read_text(encoding="utf-8"), force=force)
    echo(f"Wrote {starting.name}: {starting.what}.")
    if choice.reason:
        others = ", ".join(other for other in STARTING_FILES if other != choice.kind)
        echo(f"It is for {choice.kind}, because {choice.reason}; --for chooses another: {others}.")
    echo("\nNext:")
    for step in starting.steps:
        echo(f"  {step}")


def _project() -> dict[str, str]:
    """Return the texts of the files that say what the project is made with."""
    found = {}
    for name in PROJECT_FILES:
        file = Path(name)
        if file.is_file():
            try:
                found[name] = file.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                message = f"{name} cannot be read: {error.strerror}; name a client with --for"
                raise click.ClickException(message) from error
    return found


def _write(file: Path, text: str, *, force: bool) -> None:
    """Write a file. Raises ClickException if it exists and ``force`` is not set."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        hint = "pass --force to replace it" if file.is_file() else "move what has its name"
        raise click.ClickException(f"{file} exists; {hint}") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
