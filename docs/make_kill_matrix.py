"""Writes kill-matrix.md: which defects break which clause, and who is spared.

Run it with `python docs/make_kill_matrix.py` from the root of a checkout. What it tells is what
`tox -e whole-proof` asserts of every client, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from tests.mutants.defects import MUTANTS
from tests.mutants.sound import SOUND

__all__ = ["page"]


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([*_heading(), *_clauses(), *_overlaps(), *_spared()]) + "\n"


def _heading() -> Iterator[str]:
    yield "# The kill matrix"
    yield ""
    yield (
        f"{len(MUTANTS)} clients with one defect each and {len(SOUND)} sound clients of different "
        "designs are checked by `tox -e whole-proof`, and each must miss exactly the clauses told "
        "here. "
        "Made by `python docs/make_kill_matrix.py`."
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


def _spared() -> Iterator[str]:
    yield from ("", "## Sound clients", "", "| design | clauses not passed |", "|-|-|")
    for name, (_, missed) in SOUND.items():
        yield f"| {name.replace('_', ' ')} | {_listed(missed) or 'none'} |"


def _listed(chosen: frozenset[Clause]) -> str:
    return ", ".join(f"`{clause.id}`" for clause in CATALOGUE if clause in chosen)


if __name__ == "__main__":
    Path(__file__).with_name("kill-matrix.md").write_text(page(), encoding="utf-8")
