"""`python -m released_bugs`: check the releases, tell the differences, write the page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from released_bugs.cases import Case, CaseError, read_cases
from released_bugs.checks import CheckError, Result, check
from released_bugs.environments import InstallError, environment_for
from released_bugs.page import Checked, page

__all__ = ["main"]

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parent
_ENVIRONMENTS = _CHECKOUT / ".tox" / "released-bugs"
_PAGE = _CHECKOUT / "docs" / "released-bugs.md"


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

    NAMEs are folders of released_bugs; without any, all are checked and docs/released-bugs.md is
    written. The exit status is 1 if a check shows no difference between a version with a bug and
    one without.
    """
    try:
        cases = _chosen(read_cases(_HERE), names)
        checked = [_checked(case, environments) for case in cases]
    except (CaseError, CheckError, InstallError) as error:
        raise click.ClickException(str(error)) from error
    if not names:
        _PAGE.write_text(page(checked), encoding="utf-8")
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


def _checked(case: Case, environments: Path) -> Checked:
    results = []
    for release in case.releases:
        began = time.monotonic()
        python = environment_for(release, environments, _CHECKOUT)
        installed = time.monotonic()
        results.append(check(release, case.client, python))
        _tell(results[-1], case, installed - began, time.monotonic() - installed)
    return Checked(case, tuple(results))


def _tell(result: Result, case: Case, installing: float, checking: float) -> None:
    broken = [clause for clause in result.verdicts if result.breaches(clause)]
    said = f"{case.bug.clause} {result.verdicts[case.bug.clause]}; " if case.bug else ""
    click.echo(
        f"{result.release.name} ({result.release.version}): {said}breaks {', '.join(broken)} "
        f"[installed in {installing:.0f} s, checked in {checking:.0f} s]"
    )


if __name__ == "__main__":
    main()
