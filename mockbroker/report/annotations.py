"""Breaches as workflow commands, which GitHub Actions shows as annotations of a run.

GitHub shows them on the page of the run, where users see them without opening a log.

Printing them is left to the caller. No other output of a run may contain such a command:
`mockbroker.model.escaping` breaks those in strings from a client.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from mockbroker.report.finding import Verdict
from mockbroker.report.report import Conclusion, Report

__all__ = ["annotations_of", "are_wanted"]


def are_wanted() -> bool:
    """Return whether this runs in GitHub Actions."""
    # GitHub sets it in every job. Elsewhere the commands would be noise in the log.
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotations_of(report: Report) -> Iterator[str]:
    """Yield a line for each broken clause: an error if the clause is binding, else a warning.

    An early end of the run and errors of the kit come first.

    Advice is a warning, because it does not fail the run. Nothing is yielded for a clause that
    passes, was not tested or is a known failure.
    """
    if report.conclusion in (Conclusion.INTERRUPTED, Conclusion.OUT_OF_TIME):
        yield _command("error", "mockbroker", report.conclusion.value)
    for error in report.facts.errors:
        yield _command("error", "mockbroker", error.reason)
    # Asked of the report, which knows the level that binds and the stale entries. A second rule
    # here could disagree with the exit status.
    failed = {row.clause.id for row in report.failures}
    # The gravest first: GitHub shows ten of each kind in a step.
    others = (row for row in report.rows if row.verdict in {Verdict.STALE, Verdict.ERROR})
    for row in (*others, *report.gravest_first):
        is_error = row.clause.id in failed or row.verdict is Verdict.ERROR
        # GitHub shows the title as the heading of the annotation, so the id stands there.
        title = f"{row.clause.id} ({row.clause.level.value})"
        text = f"{row.verdict.value}: {row.finding.in_words}"
        # Without a file and a line: the breach is in the client's behaviour, and its place is
        # unknown.
        yield _command("error" if is_error else "warning", title, text)


def _command(level: str, title: str, text: str) -> str:
    """Return a workflow command; ``level`` is ``error`` or ``warning``.

    The strings are raw: both are escaped here, each by the rules for its place.
    """
    return f"::{level} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """Escape a message, which ends at the line break."""
    # GitHub's own escapes. A raw line break would end the command in the middle of the message. The
    # next line could then be a command of its own.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape the value of a property, where more characters have a meaning than in the message."""
    # Both characters separate the properties of a command.
    return _data(text).replace(":", "%3A").replace(",", "%2C")
