"""`mockbroker compare`: several reports side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mockbroker.cli.printing import print_line
from mockbroker.model.escaping import printable_lines
from mockbroker.report.formats import problem_with_outputs
from mockbroker.report.html_page import conclusion_of, html_of
from mockbroker.report.report import SCHEMA
from mockbroker.report.terminal import Line

__all__ = ["compare", "read_report"]

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
_CLAUSE_MEMBERS = {
    "id": str,
    "level": str,
    "title": str,
    "sources": list,
    "verdict": str,
    "reason": str,
    "example": str,
    "exchanges": list,
    "curl": str,
}
_MEMBERS = {"profile": str, "client": dict, "conforms": bool, "measured": dict, "clauses": list}


class ReportError(click.ClickException):
    """A file is no report; the message is one sentence that says why."""


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="REPORT.json...",
    type=click.Path(path_type=Path, dir_okay=False),
)
@click.option("--html", "page", default="", metavar="FILE", help="Write a page of them all.")
def compare(files: tuple[Path, ...], page: str) -> None:
    """Show what several reports say, a column for each.

    They are what `mockbroker check --json` writes, or `mockbroker audit --json`.
    """
    read = {f"report {number}": str(file) for number, file in enumerate(files, 1)}
    problem = problem_with_outputs({"--html": page}, read)
    if problem:
        raise click.UsageError(problem)
    reports = [read_report(file) for file in files]
    clauses = [[row["id"] for row in report["clauses"]] for report in reports]
    for file, ids in zip(files, clauses, strict=True):
        if ids != clauses[0]:
            raise ReportError(f"{file} has other clauses than {files[0]}; write it anew")
    for line in _table(reports):
        print_line(line)
    if page:
        try:
            Path(page).write_text(html_of(reports), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write {page}: {error.strerror}") from error


def read_report(file: Path) -> dict[str, Any]:
    """The report in a file. Raises ReportError if there is none by the schema that we know."""
    try:
        report = _printable(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ReportError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ReportError(f"{file} is no JSON; `mockbroker check --json` writes reports") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise ReportError(f"{file} is no report by schema {SCHEMA}")
    missing = _what_is_wrong(report)
    if missing:
        raise ReportError(f"{file} is no whole report: {missing}")
    return report


def _printable(value: Any) -> Any:
    """The same value, each text in it fit for any output."""
    if isinstance(value, str):
        return printable_lines(value)
    if isinstance(value, list):
        return [_printable(part) for part in value]
    if isinstance(value, dict):
        return {printable_lines(name): _printable(part) for name, part in value.items()}
    return value


def _what_is_wrong(report: Mapping[str, Any]) -> str:
    for name, kind in _MEMBERS.items():
        if not isinstance(report.get(name), kind):
            return f"{name} is not as it should be"
    if not {"name", "version", "target"} <= report["client"].keys():
        return "client is not as it should be"
    for error in _errors_in(report):
        if not isinstance(error, dict) or {"reason", "traceback"} - error.keys():
            return "errors is not as it should be"
    for row in report["clauses"]:
        for name, kind in _CLAUSE_MEMBERS.items():
            if not isinstance(row, dict) or not isinstance(row.get(name), kind):
                return f"{name} of a clause is not as it should be"
    return ""


def _errors_in(report: Mapping[str, Any]) -> list[Any]:
    errors = report.get("errors", [])
    return errors if isinstance(errors, list) else [errors]


def _table(reports: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for number, report in enumerate(reports, 1):
        client = report["client"]
        verdict = conclusion_of(report)
        name = client["name"] or client["target"]
        yield Line(f"  {number}  {name} {client['version']}".rstrip() + f": {verdict}", "bold")
    yield Line()
    yield Line(f"  {'':<28}  {'':<8}  " + "  ".join(f"{n:>2}" for n in range(1, len(reports) + 1)))
    for rows in zip(*(report["clauses"] for report in reports), strict=True):
        marks = [_LETTERS.get(row["verdict"], row["verdict"]) for row in rows]
        cells = "  ".join(f"{mark:>2}" for mark in marks)
        alike = len({row["verdict"] for row in rows}) == 1
        first = rows[0]
        yield Line(f"  {first['id']:<28}  {first['level']:<8}  {cells}", "" if alike else "bold")
    yield Line()
    words = "  ".join(f"{mark} {word}" for word, mark in _LETTERS.items())
    yield Line(f"  {words}", "faint")
