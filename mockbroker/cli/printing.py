"""Printing of reports by the commands; under pytest the plugin prints them.

Reports are lines with named styles until here; colours depend on the stream.

No other module of the commands maps names of styles to click's. Output to a stream that is closed
must not hide the verdict: the exit status still has it.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import Any

import click

from mockbroker.cli.streams import echo, echo_or_raise
from mockbroker.report.annotations import annotations_of, are_wanted
from mockbroker.report.report import Report
from mockbroker.report.terminal import render
from mockbroker.report.terminal_lines import Line, encodable, plain, width_of

__all__ = ["print_error", "print_line", "print_report"]


def print_report(report: Report, *, verbose: bool = False) -> None:
    """Print the report to stdout in a single write, as wide as the terminal.

    ``verbose`` gives each clause a line.

    Raises OSError if writing fails, except when the reader of the output is gone.
    """
    # 100 columns where no terminal says its width, as in a CI log.
    width = width_of(shutil.get_terminal_size((100, 24)).columns)
    # One write, so that a line of another thread or process cannot stand in the middle of the
    # report.
    echo_or_raise("\n".join(map(_styled, render(report, width, verbose=verbose))))
    # Not through `plain`, which escapes workflow commands: these are meant to be executed.
    for line in annotations_of(report) if are_wanted() else ():
        echo_or_raise(encodable(line, sys.stdout.encoding))


def print_line(line: Line) -> None:
    """Print a line to stdout; ignore errors of the stream."""
    echo(_styled(line))


def print_error(text: str) -> None:
    """Print a line to stderr, with unprintable characters escaped; ignore errors of the stream."""
    with contextlib.suppress(OSError):  # the reader of the output is gone
        click.echo(f"mockbroker: {plain(text, sys.stderr.encoding)}", err=True)


def _styled(line: Line) -> str:
    """Return the line with escape sequences for its style, and safe for stdout.

    A style without an entry is the name of a colour, as click knows it.
    """
    styles: dict[str, dict[str, Any]] = {
        "": {},
        "bold": {"bold": True},
        "faint": {"dim": True},
        "purple": {"fg": "magenta"},
    }
    text = plain(line.text, sys.stdout.encoding)
    return click.style(text, **styles.get(line.style, {"fg": line.style}))
