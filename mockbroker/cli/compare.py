"""The `mockbroker compare` command: its options; it imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["compare"]


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="REPORT.json...",
    type=click.Path(path_type=Path, dir_okay=False),
)
@click.option("--html", "page", default="", metavar="FILE", help="Write the table as an HTML page.")
def compare(files: tuple[Path, ...], page: str) -> None:
    """Compare several reports in a table with a column for each.

    `mockbroker check --json` and `mockbroker audit --json` write the reports.
    """
    from mockbroker.cli.compare_run import compare_reports  # noqa: PLC0415 - not for --help

    compare_reports(files, page)
