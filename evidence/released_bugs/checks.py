"""The check of one release, by `mockbroker check` as a program, and its result."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from evidence.released_bugs.bug_steps import BUG_STEPS
from evidence.released_bugs.cases import Bug, Case, Release
from evidence.released_bugs.results import Result
from mockbroker.contract.catalogue import CATALOGUE_VERSION
from mockbroker.report.document import ReportDocument, read_document
from mockbroker.report.finding import BREACHES

__all__ = ["EXAMPLES", "CheckError", "check", "result_of"]

EXAMPLES = "50"
"""Test cases for each clause: enough to distinguish the releases, few enough to check them all."""

_DEADLINE_SECONDS = 1800
_REPORTED = (0, 1, 5)


class CheckError(Exception):
    """A check without a report; the message has its exit status and its output."""


def check(case: Case, release: Release, python: Path) -> Result:
    """Check the case's client with that interpreter, in an empty folder, and return the result.

    Raises CheckError if the check makes no report.
    """
    with tempfile.TemporaryDirectory(prefix="released-") as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "mockbroker", "check", str(case.client)]
        command += ["--examples", EXAMPLES, "--json", str(report)]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_DEADLINE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CheckError(
                f"the check of {release.name} did not end within {_DEADLINE_SECONDS} s"
            ) from None
        if done.returncode not in _REPORTED or not report.is_file():
            raise CheckError(
                f"the check of {release.name} ended with status {done.returncode} "
                f"and this output:\n{done.stdout}{done.stderr}"
            )
        return result_of(release, case.bug, read_document(report))


def result_of(release: Release, bug: Bug | None, document: ReportDocument) -> Result:
    """Return the parts of a report that are stored."""
    rows = {row.id: row for row in document.clauses}
    broken = bug is not None and rows[bug.clause].verdict in BREACHES
    return Result(
        version=release.version,
        catalogue=CATALOGUE_VERSION,
        verdicts={clause_id: row.verdict for clause_id, row in rows.items()},
        reason=rows[bug.clause].reason if bug and broken else "",
        shows_bug=bool(bug and broken and _has_step(bug, document)),
    )


def _has_step(bug: Bug, document: ReportDocument) -> bool:
    if not bug.step:
        return True
    row = next(row for row in document.clauses if row.id == bug.clause)
    return any(map(BUG_STEPS[bug.step], row.steps))
