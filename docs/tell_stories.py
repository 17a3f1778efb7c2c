"""Writes clause_stories.json: for each clause, what a check says of a client that breaks it.

Run it with `python docs/tell_stories.py` from the root of a checkout; it takes some minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.clause_pages import STORIES
from mockbroker.cli.commands import cli
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Clause
from tests.mutants.defects import MUTANTS

__all__ = ["main"]

_CLIENT = """\
from tests.mutants.defects import MUTANTS
from tests.mutants.workshop import make

def make_client(config):
    return make(MUTANTS[{name!r}].cls, config)
"""


def telling_mutant(clause: Clause) -> str:
    """The mutant that breaks the fewest clauses beside this one; empty if none breaks it."""
    breaking = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
    return min(breaking, key=lambda name: len(MUTANTS[name].broken), default="")


def story_of(clause_id: str, mutant: str) -> dict[str, Any]:
    """What a check of the mutant says of the clause. Raises ValueError if it finds no breach."""
    with tempfile.TemporaryDirectory() as folder:
        client, report = Path(folder, "client.py"), Path(folder, "report.json")
        client.write_text(_CLIENT.format(name=mutant), encoding="utf-8")
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            options = ["--only", clause_id, "--json", str(report)]
            cli.main(["check", str(client), *options], standalone_mode=False)
        rows = json.loads(report.read_text(encoding="utf-8"))["clauses"]
    row = next(row for row in rows if row["id"] == clause_id)
    if row["verdict"] not in {"failed", "advice", "hang", "crash"}:
        raise ValueError(f"{mutant} does not break {clause_id}: {row['verdict']}, {row['reason']}")
    return {"mutant": mutant, **{key: row[key] for key in ("reason", "example", "exchanges")}}


def main() -> None:
    """Tell the stories of all clauses that a mutant breaks."""
    chosen = {clause.id: telling_mutant(clause) for clause in CATALOGUE}
    told = {clause_id: story_of(clause_id, name) for clause_id, name in chosen.items() if name}
    STORIES.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
