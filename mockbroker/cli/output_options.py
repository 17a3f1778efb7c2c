"""The options of commands by which a report is written to files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["output_options"]

Command = TypeVar("Command", bound=Callable[..., Any])
_HELP = {
    "json": "Write the report.",
    "html": "Write it as a page that needs nothing from elsewhere.",
    "junit-xml": "Write it as JUnit XML, a test case for each clause.",
    "markdown": "Write it as Markdown, for a comment or a job summary.",
    "badge": "Write the verdict as a badge in SVG.",
}


def output_options(command: Command) -> Command:
    """Give a command an option for each form of the report; each is a file's name, or empty."""
    for name, text in reversed(_HELP.items()):
        command = click.option(f"--{name}", default="", metavar="FILE", help=text)(command)
    return command
