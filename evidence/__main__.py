"""`python -m evidence`: refresh the generated pages that need no check, and list the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import click

from evidence.files import DOCS, write_text
from evidence.pages import clients, kill_matrix, verdict_picture
from evidence.pages.clause_pages import write_clause_pages
from evidence.pages.reproductions import read_reproductions
from evidence.released_bugs import FOLDER, RESULTS
from evidence.released_bugs import PAGE as RELEASED_BUGS
from evidence.released_bugs.cases import read_cases
from evidence.released_bugs.page import checked_cases
from evidence.released_bugs.page import page as released_bugs_page
from evidence.released_bugs.results import read_results
from mockbroker.contract.catalogue import CATALOGUE_VERSION

__all__ = ["PAGES", "main"]


def _clients_page() -> str:
    return clients.page(clients.read_reports())


def _released_bugs_page() -> str:
    return released_bugs_page(checked_cases(read_cases(FOLDER), read_results(RESULTS)))


PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "kill-matrix.md": kill_matrix.page,
    clients.PAGE: _clients_page,
    RELEASED_BUGS: _released_bugs_page,
}
"""The function that makes the text of each generated page from stored data, without a check."""


@dataclass(frozen=True)
class _Costly:
    """Stored data that takes long to make, and the command that makes it again.

    ``catalogues`` has the version of the catalogue for each part of the data.
    """

    what: str
    command: str
    catalogues: Collection[str] = ()

    def __str__(self) -> str:
        older = sum(version != CATALOGUE_VERSION for version in self.catalogues)
        state = f"; {older} of {len(self.catalogues)} are older than the catalogue" if older else ""
        return f"{self.command}: {self.what}{state}"


def _costly() -> list[_Costly]:
    reports, reproductions = clients.read_reports(), read_reproductions()
    results = [result for case in read_results(RESULTS).values() for result in case.values()]
    return [
        _Costly(
            "the reports on real clients, in docs/clients.md",
            "tox -e clients",
            [report.catalogue for report in reports.values()],
        ),
        _Costly(
            "the reproductions on the pages of clauses",
            "tox -e reproductions",
            [reproduction.catalogue for reproduction in reproductions.values()],
        ),
        _Costly(
            "the results of docs/released-bugs.md",
            "tox -e released-bugs",
            [result.catalogue for result in results],
        ),
        _Costly("the table of docs/comparison.md", "tox -e comparison"),
        _Costly("the output of the scripts that docs/findings shows", "tox -e findings"),
    ]


def main() -> None:
    """Write each page that needs no check, and the picture if it is older than the catalogue."""
    for file, page in PAGES.items():
        _print(file, is_written=write_text(file, page()))
    write_clause_pages(DOCS / "clauses")
    click.echo("docs/clauses: current")
    if is_old := verdict_picture.catalogue_of_picture() != CATALOGUE_VERSION:
        click.echo("docs/verdict.svg: checking the model client, which takes about a minute")
        verdict_picture.main()
    _print(verdict_picture.PICTURE, is_written=is_old)
    click.echo("\nNot refreshed, because it takes long:")
    for each in _costly():
        click.echo(f"  {each}")


def _print(file: Path, *, is_written: bool) -> None:
    click.echo(f"{file.relative_to(DOCS.parent)}: {'written' if is_written else 'current'}")


if __name__ == "__main__":
    main()
