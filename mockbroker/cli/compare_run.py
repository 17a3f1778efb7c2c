"""What `mockbroker compare` prints: a table of several reports.

The reports are read as typed values, and all of their strings are made printable first.

Nothing is judged again; the verdicts are those in the files. A file of another schema is rejected
by `mockbroker.report.document`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mockbroker.cli.printing import print_line
from mockbroker.report.document import ReportDocument, ReportFileError, read_document
from mockbroker.report.formats import problem_with_outputs
from mockbroker.report.terminal_lines import Line

__all__ = ["compare_reports"]

# By the values of `Verdict`, as a report's JSON has them. Letters as in the terminal report of one
# run.
_LETTERS = {
    "passed": "✓",
    "failed": "✗",
    "advice": "!",
    "not-applicable": "-",
    "not-tested": "?",
    "known": "k",
    "stale": "s",
    "hang": "H",
    "crash": "C",
    "error": "E",
}


class ReportError(click.ClickException):
    """A file is not a valid report; the message is one sentence that says why."""


def compare_reports(files: Sequence[Path], page: str) -> None:
    """Print the table, and write it as an HTML page to the file ``page`` unless that is empty.

    Raises click.UsageError for a page that cannot be written there, and click.ClickException for a
    file that is not a valid report or is of another version than the first.
    """
    read = {f"report {number}": str(file) for number, file in enumerate(files, 1)}
    problem = problem_with_outputs({"--html": page}, read)
    if problem:
        raise click.UsageError(problem)
    reports = [_read(file) for file in files]
    clauses = [[row.id for row in report.clauses] for report in reports]
    # Reports of different versions cannot stand in one table: a clause may have changed its
    # meaning, or be missing.
    for file, ids in zip(files, clauses, strict=True):
        if ids != clauses[0]:
            raise ReportError(f"{file} has other clauses than {files[0]}; write both again")
    for line in _table(reports):
        print_line(line)
    if page:
        from mockbroker.report.html_page import html_of  # noqa: PLC0415 - Jinja only if wanted

        try:
            Path(page).write_text(html_of(reports), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write {page}: {error.strerror}") from error


def _read(file: Path) -> ReportDocument:
    """Read one report. Raises ReportError, which click prints as one line."""
    try:
        return read_document(file)
    except ReportFileError as error:
        raise ReportError(str(error)) from None


def _table(reports: Sequence[ReportDocument]) -> Iterator[Line]:
    """Yield the conclusions, then a line for each clause with a column for each report.

    A clause on which the reports differ is bold.
    """
    for number, report in enumerate(reports, 1):
        client, conclusion = report.client, report.conclusion.value
        name = client.name or client.target
        yield Line(f"  {number}  {name} {client.version}".rstrip() + f": {conclusion}", "bold")
    yield Line()
    # Columns have numbers, because names of clients are too long for them.
    yield Line(f"  {'':<28}  {'':<8}  " + "  ".join(f"{n:>2}" for n in range(1, len(reports) + 1)))
    for rows in zip(*(report.clauses for report in reports), strict=True):
        marks = [_LETTERS[row.verdict.value] for row in rows]
        cells = "  ".join(f"{mark:>2}" for mark in marks)
        alike = len({row.verdict for row in rows}) == 1
        first = rows[0]
        yield Line(f"  {first.id:<28}  {first.level.value:<8}  {cells}", "" if alike else "bold")
    yield Line()
    # A key to the marks: the table has no room for the words.
    words = "  ".join(f"{mark} {word}" for word, mark in _LETTERS.items())
    yield Line(f"  {words}", "faint")
