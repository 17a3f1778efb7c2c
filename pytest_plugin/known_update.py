"""What a file of known failures says once a run has been written into it: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from contract_tests.replay import ExampleError, to_plain
from contract_tests.verdicts import BREACHES, Finding, Verdict
from pytest_plugin.known import KnownFailure, KnownFailures
from pytest_plugin.report import Report

__all__ = ["TODO", "KnownUpdate", "update_known"]

TODO = "TODO: say why this failure is accepted"
"""The reason of an entry to which nobody has given one."""


@dataclass(frozen=True, slots=True)
class KnownUpdate:
    """The entries of the new file, each with a comment, and what to tell of how they changed."""

    entries: tuple[tuple[KnownFailure, str], ...]
    remarks: tuple[str, ...]

    @property
    def to_do(self) -> int:
        """How many entries still need a reason."""
        return sum(failure.reason == TODO for failure, _ in self.entries)


def update_known(report: Report, before: KnownFailures, examples: Mapping[str, Any]) -> KnownUpdate:
    """List every breach of the report, in its order, and what it could not judge of ``before``.

    An entry that is listed already keeps its reason, issue and date; one that passes is dropped.
    ``examples`` are those that showed a breach, by clause id.
    """
    entries: list[tuple[KnownFailure, str]] = []
    remarks: list[str] = []
    for row in report.rows:
        found, listed = row.found, before.entries.get(row.clause.id)
        if found.verdict in BREACHES:
            entry, remark = _with_example(listed or _new(found), examples)
            entries.append((entry, f"found ({found.verdict.value}): {found.reason}"))
            remarks += [remark] if remark else _expiry(entry, before)
        elif listed is not None and found.verdict is Verdict.PASSED:
            remarks.append(f"{listed.clause_id} was dropped: it passes")
        elif listed is not None:
            entries.append((listed, f"not judged ({found.verdict.value}): {found.reason}"))
            remarks.append(f"{listed.clause_id} was kept unseen: {found.reason}")
    return KnownUpdate(tuple(entries), tuple(remarks))


def _new(found: Finding) -> KnownFailure:
    return KnownFailure(clause_id=found.clause_id, reason=TODO)


def _with_example(entry: KnownFailure, examples: Mapping[str, Any]) -> tuple[KnownFailure, str]:
    """The entry with the example that showed it this time, and why it has none if it cannot."""
    if entry.clause_id not in examples:
        return replace(entry, example=None), ""
    try:
        return replace(entry, example=to_plain(examples[entry.clause_id])), ""
    except ExampleError as error:
        return replace(entry, example=None), f"{entry.clause_id} has no example: {error}"


def _expiry(entry: KnownFailure, before: KnownFailures) -> Iterator[str]:
    if entry.expires is not None and entry.expires < before.today:
        yield f"{entry.clause_id} was kept, but expired on {entry.expires}: it still fails a run"
