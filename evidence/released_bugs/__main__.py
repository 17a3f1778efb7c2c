"""`python -m evidence.released_bugs`: check the releases, store the results, write the page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from evidence.files import CHECKOUT, write_json, write_text
from evidence.released_bugs import FOLDER, PAGE, RESULTS
from evidence.released_bugs.cases import Case, CaseError, read_cases
from evidence.released_bugs.checks import CheckError, check
from evidence.released_bugs.environments import InstallError, environment_for
from evidence.released_bugs.page import CheckedCase, checked_cases, page
from evidence.released_bugs.results import Result, read_results
from mockbroker.contract.catalogue import CATALOGUE

__all__ = ["main"]

_ENVIRONMENTS = CHECKOUT / ".tox" / "released-bugs"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--environments",
    type=click.Path(file_okay=False, path_type=Path),
    default=_ENVIRONMENTS,
    help="Where the environments are kept.",
)
def main(names: tuple[str, ...], environments: Path) -> None:
    """Check released versions of real libraries.

    NAMEs are folders of evidence/released_bugs; without any, all are checked. The results are
    stored in results.json, and docs/released-bugs.md is written from them. The exit status is 1 if
    a check shows no difference between a version with a bug and one without.
    """
    results = read_results(RESULTS)
    checked = []
    try:
        cases = read_cases(FOLDER)
        for case in _chosen(cases, names):
            results[case.name] = _results(case, environments)
            checked.append(CheckedCase(case, results[case.name]))
            write_json(RESULTS, results)
    except (CaseError, CheckError, InstallError) as error:
        raise click.ClickException(str(error)) from error
    write_text(PAGE, page(checked_cases(cases, results)))
    alike = [one.case.name for one in checked if one.shows_no_difference]
    if alike:
        click.echo(f"no difference: {', '.join(alike)}", err=True)
        sys.exit(1)


def _chosen(cases: Sequence[Case], names: Iterable[str]) -> Sequence[Case]:
    known = {case.name: case for case in cases}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CaseError(f"no such case: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] or cases


def _results(case: Case, environments: Path) -> dict[str, Result]:
    results = {}
    for release in case.releases:
        began = time.monotonic()
        python = environment_for(release, environments, CHECKOUT)
        installed = time.monotonic()
        result = results[release.variant] = check(case, release, python)
        _print(release.name, result, case, installed - began, time.monotonic() - installed)
    return results


def _print(name: str, result: Result, case: Case, installing: float, checking: float) -> None:
    broken = [clause.id for clause in CATALOGUE if result.breaches(clause)]
    verdict = f"{case.bug.clause} {result.verdicts[case.bug.clause].value}; " if case.bug else ""
    click.echo(
        f"{name} ({result.version}): {verdict}breaks {', '.join(broken)} "
        f"[installed in {installing:.0f} s, checked in {checking:.0f} s]"
    )


if __name__ == "__main__":
    main()
