"""The file of known failures: read, checked, brought up to date, and written."""

from __future__ import annotations

import datetime
import difflib
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mockbroker.broker.profiles import ConfigError, read_toml
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.finding import BREACHES, Verdict
from mockbroker.report.known_failures import KnownFailure
from mockbroker.report.plain_examples import ExampleError, to_plain
from mockbroker.report.report import Report

__all__ = ["TODO", "known_failures_as_toml", "known_failures_of", "read_known_failures"]

TODO = "TODO: say why this failure is accepted"
"""The reason of an entry to which nobody has given one."""

_TABLE = "known"
_KEYS = ("clause", "reason", "issue", "expires", "example")
_CLAUSES = tuple(clause.id for clause in CATALOGUE)
_HEADER = """\
# Known failures: `mockbroker check TARGET --known FILE` expects them, and fails once one passes.
# Replace each TODO by a reason: an entry without one excuses nothing. Optional are `issue`, an id
# or a URL, and `expires`, the last day on which the failure is accepted, written
# expires = 2030-12-31. `example` showed it and is played first.
# `--write-known` keeps all of that and writes the rest anew, comments included.
"""
_WIDTH = 98
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def read_known_failures(path: Path) -> dict[str, KnownFailure]:
    """The failures that a TOML file lists in tables ``[[known]]``, by clause id.

    Raises ConfigError, whose message is one sentence, if the file cannot be read, is no TOML, or
    lists something wrongly.
    """
    document = read_toml(path)
    tables = document.pop(_TABLE, [])
    if document:
        raise ConfigError(f"{path}: {_unknown(next(iter(document)), 'key', (_TABLE,))}")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: write each known failure as a table that begins [[known]]")
    entries: dict[str, KnownFailure] = {}
    for number, table in enumerate(tables, start=1):
        problem = _problem(table, entries)
        if problem:
            raise ConfigError(f"{path}, known failure {number}: {problem}")
        entries[table["clause"]] = _entry(table)
    return entries


def _entry(table: Mapping[str, Any]) -> KnownFailure:
    return KnownFailure(
        clause_id=table["clause"],
        reason=table["reason"].strip(),
        issue=table.get("issue", "").strip(),
        expires=table.get("expires"),
        example=table.get("example"),
    )


def _problem(table: Mapping[str, Any], earlier: Mapping[str, KnownFailure]) -> str:
    """What is wrong with a table, empty if nothing."""
    for key in table:
        if key not in _KEYS:
            return _unknown(key, "key", _KEYS)
    clause, reason, issue = table.get("clause"), table.get("reason"), table.get("issue", "")
    if not isinstance(clause, str):
        return 'it names no clause; write clause = "basic.utf8", say'
    if clause not in _CLAUSES:
        return _unknown(clause, "clause", _CLAUSES)
    if clause in earlier:
        return f"{clause} is listed twice; keep one of them"
    if not isinstance(reason, str) or not reason.strip():
        return f'{clause} has no reason; write reason = "why it is accepted"'
    if not isinstance(issue, str):
        return f'the issue of {clause} must be a text such as "ACME-17" or a URL, not {issue!r}'
    return _date_problem(clause, table.get("expires"))


def _date_problem(clause: str, expires: object) -> str:
    is_date = isinstance(expires, datetime.date) and not isinstance(expires, datetime.datetime)
    if expires is None or is_date:
        return ""
    return (
        f"{clause} expires on {str(expires)!r}, which is no date; "
        "write expires = 2030-12-31, without quotes and without a time"
    )


def _unknown(name: str, kind: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"there is no {kind} {name!r}; did you mean {close[0]!r}?"
    listed = ", ".join(known) if known is not _CLAUSES else "those that `mockbroker clauses` lists"
    return f"there is no {kind} {name!r}; there are {listed}"


def known_failures_of(
    report: Report, before: Mapping[str, KnownFailure], examples: Mapping[str, Any]
) -> list[tuple[KnownFailure, str]]:
    """Every breach of the report, in its order, and what it could not judge of ``before``.

    Each has what was found beside it. One that is listed already keeps what is said of it; one
    that passes is dropped. ``examples`` are those that showed a breach, by clause id.
    """
    entries = []
    for row in report.rows:
        found, listed = row.found, before.get(row.clause.id)
        words = f"({found.verdict.value}): {found.in_words}"
        if found.verdict in BREACHES:
            entry = listed or KnownFailure(clause_id=row.clause.id, reason=TODO)
            entries.append((_with_example(entry, examples), f"found {words}"))
        elif listed is not None and found.verdict is not Verdict.PASSED:
            entries.append((listed, f"not judged {words}"))
    return entries


def _with_example(entry: KnownFailure, examples: Mapping[str, Any]) -> KnownFailure:
    """The entry with the example that showed it this time, if that can be kept."""
    try:
        return replace(entry, example=to_plain(examples[entry.clause_id]))
    except (KeyError, ExampleError):
        return entry


def known_failures_as_toml(entries: Iterable[tuple[KnownFailure, str]]) -> str:
    """The text of a file that lists these failures, each with what was found as a comment."""
    return "\n".join([_HEADER, *(_table(failure, found) for failure, found in entries)])


def _table(failure: KnownFailure, found: str) -> str:
    values = {
        "clause": failure.clause_id,
        "reason": failure.reason,
        "issue": failure.issue or None,
        "expires": failure.expires,
        "example": failure.example,
    }
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[[{_TABLE}]]", *_comment(found), *lines]) + "\n"


def _comment(text: str) -> list[str]:
    shown = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return textwrap.wrap(shown, _WIDTH, initial_indent="# ", subsequent_indent="#   ")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_value(v)}" for name, v in value.items()) + "}"
    return _text(value)


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _text(name)


def _text(text: str) -> str:
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004
