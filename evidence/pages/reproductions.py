"""The reproductions on the pages of clauses: the report of a check on a client that breaks one.

`tox -e reproductions` checks a mutant for each clause and stores the reports in
`reproductions.json`; that takes some minutes. Name clauses to refresh only theirs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import msgspec
import tomlkit

from evidence.files import CHECKOUT, write_json
from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION, clause_named
from mockbroker.contract.clause import Clause
from mockbroker.contract.diagnosis import Diagnosis
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.document import read_document
from mockbroker.report.finding import BREACHES
from mockbroker.report.steps import Step
from tests.mutants.defects import MUTANTS

__all__ = ["Reproduction", "main", "read_reproductions"]

_REPRODUCTIONS = Path(__file__).with_name("reproductions.json")
_CLIENT = """\
from tests.mutants.defects import MUTANTS
from tests.mutants.workshop import make

def make_client(config):
    return make(MUTANTS[{name!r}].cls, config)
"""


class Reproduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The report of a check on a mutant; ``catalogue`` is the version of the catalogue."""

    catalogue: str
    mutant: str
    reason: str
    steps: tuple[Step, ...]
    exchanges: tuple[ExchangeRecord, ...]
    diagnosis: Diagnosis | None = None


def read_reproductions() -> dict[str, Reproduction]:
    """Return the stored reproduction for each clause that has one, by its id."""
    return msgspec.json.decode(_REPRODUCTIONS.read_bytes(), type=dict[str, Reproduction])


def mutant_for(clause: Clause) -> str:
    """Return the mutant that breaks the clause and the fewest others; empty if there is none."""
    breaking = [name for name, mutant in MUTANTS.items() if clause in mutant.broken]
    return min(breaking, key=lambda name: len(MUTANTS[name].broken), default="")


def reproduce(clause: Clause, mutant: str) -> Reproduction:
    """Check the mutant and return the report. Raises ValueError if the check finds no breach."""
    profile: Profile = MUTANTS[mutant].settings.get("profile", AUTOGRAB)
    with tempfile.TemporaryDirectory() as folder:
        client, config = Path(folder, "client.py"), Path(folder, "profiles.toml")
        client.write_text(_CLIENT.format(name=mutant), encoding="utf-8")
        config.write_text(_configuration(profile), encoding="utf-8")
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "mockbroker", "check", str(client), "--only", clause.id]
        command += ["--config", str(config), "--profile", profile.name, "--json", str(report)]
        # The mutants are not installed: their client finds them in the checkout.
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        if not report.is_file():
            raise ValueError(f"the check of {mutant} made no report:\n{done.stdout}{done.stderr}")
        row = next(row for row in read_document(report).clauses if row.id == clause.id)
    if row.verdict not in BREACHES:
        raise ValueError(f"{mutant} does not break {clause.id}: {row.verdict.value}, {row.reason}")
    return Reproduction(
        catalogue=CATALOGUE_VERSION,
        mutant=mutant,
        reason=row.reason,
        steps=row.steps,
        exchanges=row.exchanges,
        diagnosis=row.diagnosis,
    )


def _configuration(profile: Profile) -> str:
    """Return a configuration file that defines the profile, empty for the shipped one."""
    if profile == AUTOGRAB:
        return ""
    defaults = asdict(Profile(name=profile.name))
    changed = {name: v for name, v in asdict(profile).items() if v != defaults[name]}
    return tomlkit.dumps({"profiles": {profile.name: changed}})


def main() -> None:
    """Refresh the reproductions for the named clauses, or for all that a mutant breaks."""
    chosen = [clause_named(name) for name in sys.argv[1:]]
    # To refresh all of them, the stored ones need not even have the present form of steps.
    reproductions = read_reproductions() if chosen else {}
    for clause in chosen or CATALOGUE:
        if mutant := mutant_for(clause):
            reproductions[clause.id] = reproduce(clause, mutant)
            in_order = {c.id: reproductions[c.id] for c in CATALOGUE if c.id in reproductions}
            write_json(_REPRODUCTIONS, in_order)


if __name__ == "__main__":
    main()
