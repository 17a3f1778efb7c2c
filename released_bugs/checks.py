"""Checking one release: `mockbroker check` as a program, and what its report says."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from mockbroker.report.steps import Step
from mockbroker.report.wording import step_lines
from released_bugs.cases import Bug, Release

__all__ = ["EXAMPLES", "CheckError", "Result", "check"]

EXAMPLES = "50"
"""Of each clause; enough to tell releases apart, and the page in time."""

_DEADLINE_SECONDS = 1800
_REPORTED = (0, 1, 5)
_BREACHES = ("failed", "advice", "hang", "crash")


class CheckError(Exception):
    """A check ended without a report; the message says with what."""


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on each clause, by id.

    What blocked it or was breached stands in ``reasons``, and what led there in ``stories``.
    """

    release: Release
    conforms: bool
    verdicts: Mapping[str, str]
    levels: Mapping[str, str]
    reasons: Mapping[str, str]
    stories: Mapping[str, str]

    def breaches(self, clause: str) -> bool:
        """Whether the clause is broken, at whatever level."""
        return self.verdicts[clause] in _BREACHES

    def has(self, bug: Bug) -> bool:
        """Whether the bug's clause is broken, by the bug's story if it has one."""
        return self.breaches(bug.clause) and bug.story in self.stories[bug.clause]

    def is_free_of(self, bug: Bug) -> bool:
        """Whether the bug's clause is kept, or broken by a story that is not the bug's."""
        if bug.story and self.breaches(bug.clause):
            return not self.has(bug)
        return self.verdicts[bug.clause] == "passed"


def check(release: Release, client: Path, python: Path) -> Result:
    """The result of a check of that client, run by that interpreter in an empty folder.

    Raises CheckError if the check makes no report.
    """
    with tempfile.TemporaryDirectory(prefix="released-") as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "mockbroker", "check", str(client)]
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
                f"the check of {release.name} did not end in {_DEADLINE_SECONDS} s"
            ) from None
        if done.returncode not in _REPORTED or not report.is_file():
            raise CheckError(
                f"the check of {release.name} ended with status {done.returncode} "
                f"and these words:\n{done.stdout}{done.stderr}"
            )
        return _result(release, json.loads(report.read_text(encoding="utf-8")))


def _result(release: Release, report: Mapping[str, Any]) -> Result:
    def column(name: str) -> Mapping[str, str]:
        return MappingProxyType({row["id"]: row[name] for row in report["clauses"]})

    return Result(
        release=release,
        conforms=report["conforms"],
        verdicts=column("verdict"),
        levels=column("level"),
        reasons=column("reason"),
        stories=MappingProxyType({row["id"]: _steps_text(row) for row in report["clauses"]}),
    )


def _steps_text(row: Mapping[str, Any]) -> str:
    return "\n".join(step_lines(msgspec.convert(row["steps"], tuple[Step, ...])))
