"""The page kill-matrix.md: the clauses that each defect breaks or each sound client cannot pass.

`python -m evidence` writes it. `tox -e whole-proof` asserts exactly these verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

__all__ = ["page"]


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join([*_heading(), *_clauses(), *_overlaps(), *_sound_clients()]) + "\n"


def _heading() -> Iterator[str]:
    yield "# The kill matrix"
    yield ""
    yield (
        f"`tox -e whole-proof` checks {len(MUTANTS)} clients with one defect each and "
        f"{len(SOUND)} sound clients of different designs. Each must fail, or leave unjudged, "
        "exactly the clauses listed here. `python -m evidence` writes this page."
    )


def _clauses() -> Iterator[str]:
    yield from ("", "| clause | level | defects that break it |", "|-|-|-|")
    for clause in CATALOGUE:
        breakers = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
        yield f"| `{clause.id}` | {clause.level.value} | {', '.join(breakers)} |"


def _overlaps() -> Iterator[str]:
    yield from ("", "## Defects that break more than one clause, or block others", "")
    yield from ("| defect | breaks | blocks |", "|-|-|-|")
    for name, mutant in MUTANTS.items():
        if len(mutant.broken | mutant.blocked) > 1:
            yield f"| {name} | {_listed(mutant.broken)} | {_listed(mutant.blocked) or 'none'} |"


def _sound_clients() -> Iterator[str]:
    yield from ("", "## Sound clients", "", "| design | clauses not passed |", "|-|-|")
    for name, (_, missed) in SOUND.items():
        yield f"| {name.replace('_', ' ')} | {_listed(missed) or 'none'} |"


def _listed(chosen: frozenset[Clause]) -> str:
    return ", ".join(f"`{clause.id}`" for clause in CATALOGUE if clause in chosen)
