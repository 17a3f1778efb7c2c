"""The page docs/released-bugs.md, from the stored results: a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evidence.released_bugs.cases import BUGGY, FIXED, NEWEST, Bug, Case
from evidence.released_bugs.checks import EXAMPLES
from evidence.released_bugs.results import Result, Results
from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Level
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.finding import Verdict

__all__ = ["CheckedCase", "checked_cases", "page"]

_INTRO = f"""\
# Released bugs

<!-- Written by `tox -e released-bugs`; do not edit. -->

Each release of these libraries has an environment of its own. Small clients
(`evidence/released_bugs/NAME/client.py`) use the library, and
`mockbroker check --examples {EXAMPLES}` checks the clients. `tox -e released-bugs` installs the
releases below `.tox`, checks them all and writes this page. On a machine with two cores it takes
about an hour the first time, and half an hour afterwards.
`tox -e released-bugs -- NAME` checks one.

## Buggy and fixed releases

Each row has a bug that users reported against a release, and a release without the bug. The check
does not know the bug. The first release breaks the clause; the second passes it, or breaks it in
another way.

| case | the bug | clause | with it | without it |
|-|-|-|-|-|
"""

_REASONS = """
The report of the check on each bug:

"""

_NEWEST = """
## The newest releases

The [findings](findings/README.md) reproduce the bugs of these releases without the kit.

| library | case | MUST broken | other clauses broken |
|-|-|-|-|
"""

_ALL = """
## Every clause that does not pass

A `not-tested` clause could not be judged, in most cases because of another breach. The list below a
table names the clauses that were added after the check. It also names the clauses that the client's
own code breaks, or that the library leaves to its user.
"""

_UNREMARKABLE = (Verdict.PASSED, Verdict.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class CheckedCase:
    """A case and the results of its releases, in the order of the releases."""

    case: Case
    results: Mapping[str, Result]

    @property
    def pair(self) -> tuple[Bug, Result, Result] | None:
        """The bug, the result with it and the one without; None if the case has no bug."""
        buggy, fixed = self.results.get(BUGGY), self.results.get(FIXED)
        if self.case.bug is None or buggy is None or fixed is None:
            return None
        return self.case.bug, buggy, fixed

    @property
    def shows_no_difference(self) -> bool:
        """Whether the case has a bug and its two results do not show the difference."""
        if self.pair is None:
            return False
        bug, buggy, fixed = self.pair
        return not (buggy.shows_bug and fixed.is_free_of(bug))


def checked_cases(cases: Iterable[Case], results: Results) -> tuple[CheckedCase, ...]:
    """Return the cases that have results, with them."""
    return tuple(CheckedCase(case, results[case.name]) for case in cases if case.name in results)


def page(checked: Sequence[CheckedCase]) -> str:
    """Return the whole page."""
    parts = [
        _INTRO,
        *(_pair_row(one) for one in checked),
        _REASONS,
        *(_reason(one) for one in checked),
        _NEWEST,
        *(_newest_row(one) for one in checked),
        _ALL,
        *(_section(one) for one in checked),
    ]
    return "".join(parts)


def _pair_row(one: CheckedCase) -> str:
    if one.pair is None:
        return ""
    bug, *results = one.pair
    verdicts = [
        f"{one.case.distribution} {result.version}: {_verdict(result, bug)}" for result in results
    ]
    return _row(f"[{one.case.name}]({bug.report})", bug.what, f"`{bug.clause}`", *verdicts)


def _verdict(result: Result, bug: Bug) -> str:
    verdict = result.verdicts[bug.clause].value
    otherwise = result.breaches(clause_named(bug.clause)) and not result.shows_bug
    return f"{verdict}, in another way" if otherwise else verdict


def _reason(one: CheckedCase) -> str:
    if one.pair is None:
        return ""
    bug, buggy, _ = one.pair
    return f"- {one.case.name}, `{bug.clause}`: {' '.join(buggy.reason.split())}\n"


def _newest_row(one: CheckedCase) -> str:
    result = one.results.get(NEWEST)
    if result is None:
        return ""
    broken = [clause for clause in CATALOGUE if result.breaches(clause)]
    must = [clause.id for clause in broken if clause.level is Level.MUST]
    other = [clause.id for clause in broken if clause.level is not Level.MUST]
    release = f"{one.case.distribution} {result.version}"
    return _row(release, one.case.name, _listed(must, one.case.glue), _listed(other, one.case.glue))


def _listed(clauses: Iterable[str], glue: Mapping[str, str]) -> str:
    marked = (f"`{clause}`{' (glue)' if clause in glue else ''}" for clause in clauses)
    return ", ".join(marked) or "none"


def _section(one: CheckedCase) -> str:
    versions = [result.version for result in one.results.values()]
    lines = [
        f"\n### {one.case.distribution}: {one.case.name}\n\n",
        _row("clause", "level", *versions),
    ]
    lines.append("|" + "-|" * (len(versions) + 2) + "\n")
    lines += _clause_rows(one)
    notes = [*_never_tried(one), *(f"`{name}`: {why}" for name, why in one.case.glue.items())]
    if notes:
        lines += ["\n", *(f"- {note}\n" for note in notes)]
    return "".join(lines)


def _never_tried(one: CheckedCase) -> Iterator[str]:
    # The releases of a case are checked together, so by the same catalogue.
    if added := next(iter(one.results.values())).never_tried(AUTOGRAB):
        yield f"never tried: {', '.join(f'`{clause.id}`' for clause in added)}"


def _clause_rows(one: CheckedCase) -> Iterator[str]:
    for clause in CATALOGUE:
        verdicts = [r.verdicts[clause.id] for r in one.results.values() if clause.id in r.verdicts]
        if any(verdict not in _UNREMARKABLE for verdict in verdicts):
            yield _row(f"`{clause.id}`", clause.level.value, *(v.value for v in verdicts))


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"
