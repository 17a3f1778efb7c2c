"""The file of known failures: reading it, and the entries that a run writes.

`mockbroker.report.known_text` changes the text of the file.

The values of entries are checked here. What they mean for a run is decided in
`mockbroker.report.known_failures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mockbroker.broker.profiles import ConfigError, read_toml
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import ReadingError, read
from mockbroker.report.finding import BREACHES, Verdict
from mockbroker.report.known_failures import KnownFailure
from mockbroker.report.report import Report

__all__ = ["TODO", "known_failures_of", "read_known_failures"]

# `KnownFailure.is_explained` must reject it, so it begins with a word that counts as a placeholder.
TODO = "TODO: say why this failure is accepted"
"""The reason of a new entry, which the user has to replace."""

_CLAUSES = tuple(clause.id for clause in CATALOGUE)


_DATE = msgspec.Meta(description="a date such as 2030-12-31")


# Unknown keys are errors: a misspelt key, such as "expire", would otherwise have no effect.
class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A table ``[[known]]``. ``found`` is for people who read the file; a run ignores it."""

    clause: str
    reason: str
    found: str = ""
    issue: str = ""
    expires: Annotated[date | None, _DATE] = None
    example: Any = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file, which has nothing but the list."""

    known: list[_Entry] = []


def read_known_failures(path: Path) -> dict[str, KnownFailure]:
    """Return the failures that a TOML file lists in tables ``[[known]]``, by clause id.

    Raises ConfigError if the file cannot be read, is not valid TOML, or has an invalid table, key
    or value. The message is one sentence with the place.
    """
    try:
        tables = read(read_toml(path), _Document, str(path)).known
    except ReadingError as error:
        raise ConfigError(str(error)) from error
    # In the order of the file, so that the message of a duplicate is about the second entry.
    entries: dict[str, KnownFailure] = {}
    for number, table in enumerate(tables):
        problem = _problem(table, entries)
        if problem:
            raise ConfigError(f"{path}: known[{number}]: {problem}")
        entries[table.clause] = KnownFailure(
            clause_id=table.clause,
            # A TOML string of several lines usually ends in a line break.
            reason=table.reason.strip(),
            issue=table.issue.strip(),
            expires=table.expires,
            example=table.example,
        )
    return entries


def _problem(table: _Entry, earlier: Mapping[str, KnownFailure]) -> str:
    """Return what is wrong with a table whose types are valid; empty if nothing is.

    Each problem is a misuse that the types allow. ``earlier`` has the entries before this one.
    """
    if table.clause not in _CLAUSES:
        return f"unknown clause {table.clause!r}{did_you_mean(table.clause, _CLAUSES)}"
    if table.clause in earlier:
        return f"{table.clause} is listed twice; keep one of the entries"
    if not table.reason.strip():
        return f"the reason for {table.clause} is empty; say why the failure is accepted"
    return ""


def known_failures_of(
    report: Report, before: Mapping[str, KnownFailure], examples: Mapping[str, Any]
) -> list[tuple[KnownFailure, str]]:
    """Return the entries to write after a run, in the order of the report.

    These are every breach, and the entries of ``before`` that the run did not judge. Each comes
    with the finding in words, which is empty if the run did not judge it. An existing entry keeps
    its reason, issue and date; an entry that passes is dropped. ``examples`` has those that showed
    a breach, as plain data, by clause id.

    The verdict "not tested" also keeps an entry: a blocked clause may still be broken.
    """
    entries = []
    for row in report.rows:
        # The verdict of the run itself: `row.finding` may already be "known".
        found, listed = row.found, before.get(row.clause.id)
        if found.verdict in BREACHES:
            entry = listed or KnownFailure(clause_id=row.clause.id, reason=TODO)
            words = f"{found.verdict.value}: {found.in_words}"
            entries.append((_with_example(entry, examples), words))
        # A clause that was not judged this time, as in a run with --only, keeps its entry.
        elif listed is not None and found.verdict is not Verdict.PASSED:
            entries.append((listed, ""))
    return entries


def _with_example(entry: KnownFailure, examples: Mapping[str, Any]) -> KnownFailure:
    """Return the entry with the example of this run, if there is one."""
    # Without an example the entry still works: the run then draws its own test cases.
    example = examples.get(entry.clause_id)
    return entry if example is None else replace(entry, example=example)
