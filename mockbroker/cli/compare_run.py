"""What `mockbroker compare` prints: a table of several reports, or changes since a baseline.

The reports are read as typed values, and all of their strings are made printable first.

Nothing is judged again; the verdicts are those in the files. A file of another schema is rejected
by `mockbroker.report.document`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mockbroker.cli.printing import print_line
from mockbroker.model.escaping import printable
from mockbroker.report.comparison import Change, Comparison, compared, obstacle_to
from mockbroker.report.document import ReportDocument, ReportFileError, read_document
from mockbroker.report.finding import Verdict
from mockbroker.report.formats import problem_with_outputs
from mockbroker.report.terminal_lines import MARKS, MAX_WIDTH, Line, counted_clauses, wrap

__all__ = ["compare_reports", "compare_with_baseline", "named_reports"]


class ReportError(click.ClickException):
    """A file is not a valid report; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class NamedReport:
    """A report, its file, and the name by which the user knows it."""

    name: str
    file: Path
    document: ReportDocument


def named_reports(
    arguments: Sequence[str], baseline: Path | None, page: str
) -> tuple[NamedReport, ...]:
    """Read the reports, each given as ``FILE`` or as ``NAME=FILE``.

    Raises click.UsageError for an argument without a name or a file, and for a page that would
    overwrite a report or cannot be written; click.ClickException for a file that is not a valid
    report.
    """
    named = [_name_and_file(argument) for argument in arguments]
    files = [file for _, file in named]
    read = {f"report {number}": str(file) for number, file in enumerate(files, 1)}
    problem = problem_with_outputs({"--html": page}, {**read, "the baseline": str(baseline or "")})
    if problem:
        raise click.UsageError(problem)
    documents = [_read(file) for file in files]
    targets = [document.client.target or document.client.name for document in documents]
    return tuple(
        NamedReport(name or _own_name(target, targets, file), file, document)
        for (name, file), target, document in zip(named, targets, documents, strict=True)
    )


def _name_and_file(argument: str) -> tuple[str, Path]:
    """Return the name and the file of an argument; the name is empty without one."""
    name, equals, file = argument.partition("=")
    # A file whose own name has an equals sign comes first.
    if not equals or Path(argument).exists():
        return "", Path(argument)
    if not name or not file:
        raise click.UsageError(f"{printable(argument)!r} must be FILE or NAME=FILE")
    return printable(name), Path(file)


def _own_name(target: str, targets: Sequence[str], file: Path) -> str:
    """Return the target of a report, with its file if others have the same target."""
    if not target:
        return printable(str(file))
    return target if targets.count(target) == 1 else f"{target} ({printable(str(file))})"


def _read(file: Path) -> ReportDocument:
    """Read one report. Raises ReportError, which click prints as one line."""
    try:
        return read_document(file)
    except ReportFileError as error:
        raise ReportError(str(error)) from None


def compare_reports(reports: Sequence[NamedReport], page: str, *, shows_all: bool) -> None:
    """Print the table, and write it as an HTML page to the file ``page`` unless that is empty.

    Raises click.ClickException for reports of different versions of the catalogue.
    """
    _require_same_clauses(reports)
    # With a single report nothing differs.
    shows_all = shows_all or len(reports) == 1
    for line in (
        *_names(reports),
        *_profiles(reports),
        *_table([report.document for report in reports], shows_all=shows_all),
    ):
        print_line(line)
    _write_page(reports, page)


def compare_with_baseline(
    baseline: Path, reports: Sequence[NamedReport], page: str, *, shows_all: bool
) -> bool:
    """Print what changed in each report since the baseline; return whether a clause got worse.

    Raises click.ClickException for a report by another profile or at another level.
    """
    before = NamedReport("baseline", baseline, _read(baseline))
    for report in reports:
        if obstacle := obstacle_to(before.document, report.document):
            raise ReportError(f"{report.file} {obstacle}; write both with the same options")
    if page:
        _require_same_clauses([before, *reports])
    comparisons = [compared(before.document, report.document) for report in reports]
    for report, comparison in zip(reports, comparisons, strict=True):
        for line in _changes(before, report, comparison, shows_all=shows_all):
            print_line(line)
    _write_page([before, *reports], page)
    return any(comparison.worse for comparison in comparisons)


def _require_same_clauses(reports: Sequence[NamedReport]) -> None:
    """Raise ReportError if a report has other clauses than the first one."""
    first, *others = reports
    ids = [row.id for row in first.document.clauses]
    for report in others:
        # A clause may have changed its meaning, or be missing.
        if [row.id for row in report.document.clauses] != ids:
            raise ReportError(
                f"{report.file} has other clauses than {first.file}; write both again"
            )


def _write_page(reports: Sequence[NamedReport], page: str) -> None:
    """Write the reports as one HTML page, unless no file is named."""
    if not page:
        return
    from mockbroker.report.html_page import html_of  # noqa: PLC0415 - Jinja only if wanted

    text = html_of([r.document for r in reports], [r.name for r in reports])
    try:
        Path(page).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {page}: {error.strerror}") from error


def _names(reports: Sequence[NamedReport]) -> Iterator[Line]:
    """Yield the number, the name and the conclusion of each report."""
    for number, report in enumerate(reports, 1):
        client = report.document.client
        # The name of a driver's client says more than its command; a module's repeats the target.
        extra = f" {client.version}" if client.version else ""
        conclusion = report.document.conclusion.value
        yield Line(f"  {number}  {report.name}{extra}: {conclusion}", "bold")


def _profiles(reports: Sequence[NamedReport]) -> Iterator[Line]:
    """Yield a sentence if the reports are not by one profile or not at one level."""
    documents = [report.document for report in reports]
    for what, values in (
        ("profiles", [document.profile.name for document in documents]),
        ("levels", [document.options.fail_on.value for document in documents]),
        ("versions of the catalogue", [document.catalogue or "unknown" for document in documents]),
    ):
        if len(set(values)) > 1:
            yield Line(f"  The reports have different {what}: {', '.join(values)}.", "yellow")


def _table(reports: Sequence[ReportDocument], *, shows_all: bool) -> Iterator[Line]:
    """Yield a line for each clause that differs, with a column for each report, and totals."""
    heads = _cells(map(str, range(1, len(reports) + 1)))
    width = max(len(row.id) for row in reports[0].clauses)
    yield Line()
    yield Line(f"  {'':<{width}}  {'':<8}  {heads}")
    used = dict.fromkeys(row.verdict for report in reports for row in report.clauses)
    alike = 0
    for rows in zip(*(report.clauses for report in reports), strict=True):
        differs = len({row.verdict for row in rows}) > 1
        alike += not differs
        if differs or shows_all:
            marks = _cells(MARKS[row.verdict][0] for row in rows)
            style = "bold" if differs and shows_all else ""
            yield Line(f"  {rows[0].id:<{width}}  {rows[0].level.value:<8}  {marks}", style)
    if not shows_all:
        yield Line(f"  {counted_clauses(alike)} without a difference; --all prints them", "faint")
    yield Line()
    for verdict in Verdict:
        if verdict in used:
            counts = [sum(row.verdict is verdict for row in r.clauses) for r in reports]
            mark = f"{MARKS[verdict][0]} {verdict.value}"
            yield Line(f"  {mark:<{width}}  {'':<8}  {_cells(map(str, counts))}")


def _cells(texts: Iterator[str]) -> str:
    """Return the texts as columns of a table."""
    return "  ".join(f"{text:>3}" for text in texts)


def _changes(
    before: NamedReport, report: NamedReport, comparison: Comparison, *, shows_all: bool
) -> Iterator[Line]:
    """Yield what changed in a report since the baseline."""
    worse, better = len(comparison.worse), len(comparison.better)
    counts = f"{worse} worse, {better} better, {comparison.same} the same"
    since = f" of {before.document.created}" if before.document.created else ""
    style = "red" if comparison.worse else "green"
    yield Line(f"  {report.name} since {before.file}{since}: {counts}", style)
    for label, changes, style in (
        ("worse", comparison.worse, "red"),
        ("better", comparison.better, "green"),
        ("left out", comparison.unjudged if shows_all else (), "purple"),
    ):
        for text in _change_texts(changes):
            for number, line in enumerate(wrap(text, MAX_WIDTH - 14)):
                yield Line(f"    {'' if number else label:<9} {line}", style)
    if comparison.unjudged and not shows_all:
        count = counted_clauses(len(comparison.unjudged))
        yield Line(f"    {count} of the baseline left out by a partial run", "purple")
    for what, ids in {
        "new since the baseline, not counted": comparison.added,
        "only in the baseline": comparison.removed,
    }.items():
        if ids:
            text = f"{counted_clauses(len(ids))} {what}: {', '.join(ids)}"
            yield from (Line(f"    {line}", "yellow") for line in wrap(text, MAX_WIDTH - 4))
    yield from _other_circumstances(before.document, report.document)


def _change_texts(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a text for each clause, and one for all clauses that the same clause now blocks."""
    blocked: dict[str, list[str]] = {}
    for change in changes:
        row = change.after
        if row.blocked_by is not None:
            blocked.setdefault(row.blocked_by, []).append(row.id)
            continue
        text = f"{row.id} ({row.level.value}): {change.before.verdict.value} → {row.verdict.value}"
        yield f"{text}: {row.reason}" if row.reason else text
    for blocker, ids in blocked.items():
        verdict = Verdict.NOT_TESTED.value
        yield f"{counted_clauses(len(ids))} → {verdict}, blocked by {blocker}: {', '.join(ids)}"


def _other_circumstances(before: ReportDocument, after: ReportDocument) -> Iterator[Line]:
    """Yield what may explain a change besides the client: another tool or catalogue."""
    pairs: Mapping[str, tuple[str, str]] = {
        "mockbroker": (before.tool.version, after.tool.version),
        "the catalogue": (before.catalogue or "unknown", after.catalogue or "unknown"),
    }
    for what, (old, new) in pairs.items():
        if old != new:
            yield Line(f"    The baseline is by another version of {what}: {old} → {new}", "yellow")
