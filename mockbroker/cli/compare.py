"""The `mockbroker compare` command: its options; it imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["compare"]


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="[NAME=]REPORT.json...")
@click.option(
    "--baseline",
    metavar="OLD.json",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Print what changed since this report; exit with 1 if a clause got worse.",
)
@click.option("--all", "shows_all", is_flag=True, help="Also print clauses without a difference.")
@click.option("--html", "page", default="", metavar="FILE", help="Write the table as an HTML page.")
def compare(reports: tuple[str, ...], baseline: Path | None, page: str, *, shows_all: bool) -> None:
    """Compare several reports in a table with a column for each.

    Only clauses on which they differ are printed.

    `mockbroker check --json` and `mockbroker audit --json` write the reports. A report has the name
    of its target unless it is given as NAME=REPORT.json.

    Exit status: 0 nothing got worse, 1 a clause got worse than in the baseline, 4 a file cannot be
    used.
    """
    from mockbroker.cli.compare_run import (  # noqa: PLC0415 - not for --help
        compare_reports,
        compare_with_baseline,
        named_reports,
    )

    named = named_reports(reports, baseline, page)
    if baseline is None:
        compare_reports(named, page, shows_all=shows_all)
    elif compare_with_baseline(baseline, named, page, shows_all=shows_all):
        click.get_current_context().exit(1)
