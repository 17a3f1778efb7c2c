"""The page docs/released-bugs.md, from what the checks said: a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from released_bugs.cases import BUGGY, FIXED, NEWEST, Bug, Case
from released_bugs.checks import EXAMPLES, Result

__all__ = ["Checked", "page"]

_INTRO = f"""\
# Released bugs

<!-- Written by `tox -e released-bugs`; do not edit. -->

Real libraries, each release in an environment of its own, driven by small clients
(`released_bugs/NAME/client.py`) and checked with `mockbroker check --examples {EXAMPLES}`.
`tox -e released-bugs` installs them below `.tox`, checks them all and writes this page: about an
hour the first time and half of it afterwards, on a machine with two cores.
`tox -e released-bugs -- NAME` checks one.

## Told apart

A bug that users reported against a released version, and a release without it. The check is told
nothing of the bug: of the two clients, the first breaks the clause and the second does not, or
breaks it in another way.

| case | the bug | clause | with it | without it |
|-|-|-|-|-|
"""

_SAID = """
What the check says of each:

"""

_NEWEST = """
## The newest releases

What they do wrong is confirmed without the kit in [findings](findings/README.md).

| library | case | MUST broken | other clauses broken |
|-|-|-|-|
"""

_ALL = """
## Every clause that does not pass

`not-tested` is a clause that could not be judged, mostly because of another that is broken. What
the lines that drive a library do, or what a library leaves to them, is said below its table.
"""

_UNREMARKABLE = ("passed", "not-applicable")


@dataclass(frozen=True, slots=True)
class Checked:
    """A case and the results of its releases."""

    case: Case
    results: tuple[Result, ...]

    def result(self, variant: str) -> Result | None:
        """The result of that variant, if the case has it."""
        return next((each for each in self.results if each.release.variant == variant), None)

    @property
    def pair(self) -> tuple[Bug, Result, Result] | None:
        """The bug, the result with it and the one without; None if the case has no bug."""
        buggy, fixed = self.result(BUGGY), self.result(FIXED)
        if self.case.bug is None or buggy is None or fixed is None:
            return None
        return self.case.bug, buggy, fixed

    @property
    def shows_no_difference(self) -> bool:
        """Whether the case has a bug that its two results do not tell apart."""
        if self.pair is None:
            return False
        bug, buggy, fixed = self.pair
        return not (buggy.has(bug) and fixed.is_free_of(bug))


def page(checked: Sequence[Checked]) -> str:
    """The whole page."""
    parts = [
        _INTRO,
        *(_pair_row(one) for one in checked),
        _SAID,
        *(_said(one) for one in checked),
        _NEWEST,
        *(_newest_row(one) for one in checked),
        _ALL,
        *(_section(one) for one in checked),
    ]
    return "".join(parts)


def _pair_row(one: Checked) -> str:
    if one.pair is None:
        return ""
    bug, *results = one.pair
    verdicts = [
        f"{one.case.distribution} {result.release.version}: {_verdict(result, bug)}"
        for result in results
    ]
    return _row(f"[{one.case.name}]({bug.report})", bug.what, f"`{bug.clause}`", *verdicts)


def _verdict(result: Result, bug: Bug) -> str:
    verdict = result.verdicts[bug.clause]
    otherwise = result.breaches(bug.clause) and not result.has(bug)
    return f"{verdict}, by another story" if otherwise else verdict


def _said(one: Checked) -> str:
    if one.pair is None:
        return ""
    bug, buggy, _ = one.pair
    said = " ".join(buggy.reasons[bug.clause].split())
    return f"- {one.case.name}, `{bug.clause}`: {said}\n"


def _newest_row(one: Checked) -> str:
    result = one.result(NEWEST)
    if result is None:
        return ""
    broken = [clause for clause in result.verdicts if result.breaches(clause)]
    must = [clause for clause in broken if result.levels[clause] == "MUST"]
    other = [clause for clause in broken if clause not in must]
    release = f"{one.case.distribution} {result.release.version}"
    return _row(release, one.case.name, _listed(must, one.case.glue), _listed(other, one.case.glue))


def _listed(clauses: Iterable[str], glue: Mapping[str, str]) -> str:
    marked = (f"`{clause}`{' (glue)' if clause in glue else ''}" for clause in clauses)
    return ", ".join(marked) or "none"


def _section(one: Checked) -> str:
    versions = [result.release.version for result in one.results]
    lines = [
        f"\n### {one.case.distribution}: {one.case.name}\n\n",
        _row("clause", "level", *versions),
    ]
    lines.append("|" + "-|" * (len(versions) + 2) + "\n")
    lines += _clause_rows(one)
    if one.case.glue:
        lines.append("\n")
        lines += [f"- `{clause}`: {why}\n" for clause, why in one.case.glue.items()]
    return "".join(lines)


def _clause_rows(one: Checked) -> Iterator[str]:
    for clause, level in one.results[0].levels.items():
        verdicts = [result.verdicts[clause] for result in one.results]
        if any(verdict not in _UNREMARKABLE for verdict in verdicts):
            yield _row(f"`{clause}`", level, *verdicts)


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"
