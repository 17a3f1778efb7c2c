"""The breaches as workflow commands, which GitHub Actions shows beside a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from contract_tests.verdicts import BREACHES, Verdict
from pytest_plugin.report import Report

__all__ = ["annotations_of", "are_wanted"]


def are_wanted() -> bool:
    """Whether this runs in GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotations_of(report: Report) -> Iterator[str]:
    """A line for each clause that is not kept: an error where it binds, else a warning."""
    failed = {row.clause.id for row in report.failures}
    for row in report.rows:
        if row.verdict not in {*BREACHES, Verdict.STALE}:
            continue
        level = "error" if row.clause.id in failed else "warning"
        title = _property(f"{row.clause.id} ({row.clause.level.value})")
        yield f"::{level} title={title}::{_data(f'{row.verdict.value}: {row.finding.reason}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
