"""Breaches grouped by their cause, so that a report describes each cause once.

One mistake of a client often breaks several clauses and blocks more. Groups never change a verdict:
every row keeps its own, and the JSON report has all findings.

A rule compares typed values of the findings, never their text.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import get_args

from mockbroker.model.credentials import TokenState
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.gravity import Gravity
from mockbroker.report.report import Report, Row
from mockbroker.report.steps import (
    Action,
    ClientUsed,
    GotNoToken,
    GotToken,
    NothingUsable,
    Place,
    Raised,
    SentTooManyRequests,
    Step,
)

__all__ = ["Group", "groups_of", "last_place", "mistake_of", "place_of", "ungrouped"]

# A call, its repetition after a 401, and a token request before each of them.
_MAX_REQUESTS_OF_A_USE = 4
# Exceptions that a client does not raise on purpose. Others, such as RuntimeError, are how a client
# reports different failures from one place.
_MISTAKES = frozenset(
    {
        "AssertionError",
        "AttributeError",
        "ImportError",
        "IndexError",
        "KeyError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "RecursionError",
        "TypeError",
        "UnboundLocalError",
    }
)


class _Evidence(enum.Enum):
    """What the last action of a reproduction shows, if that has one cause in most clients."""

    MANY_REQUESTS = enum.auto()
    NO_RETURN = enum.auto()
    NOTHING_RETURNED = enum.auto()
    EXPIRED_TOKEN_USED = enum.auto()


@dataclass(frozen=True, slots=True)
class Group:
    """A cause: ``head`` shows it, ``also_broken`` has the same evidence.

    ``blocked`` are the clauses that could not be judged because of it. ``head`` is the gravest
    breach; it has the verdict ``not-tested`` if the cause itself prevents a verdict.
    """

    head: Row
    also_broken: tuple[Row, ...] = ()
    blocked: tuple[Row, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows of the group."""
        return (self.head, *self.also_broken, *self.blocked)


def groups_of(report: Report) -> tuple[Group, ...]:
    """Return the causes of the report's breaches and blocked clauses, the gravest first.

    Each breach is in exactly one group. A blocked clause is in the group of its blocker, which may
    be a known failure or a clause that could not be judged itself.
    """
    broken: dict[Hashable, list[Row]] = {}
    for row in report.gravest_first:
        broken.setdefault(_cause_of(row), []).append(row)
    # By the id of their head, which is the first and gravest row of each.
    breaches = {rows[0].clause.id: rows for rows in broken.values()}
    head_of = {row.clause.id: head for head, rows in breaches.items() for row in rows}
    blocked: dict[str, list[Row]] = {head: [] for head in breaches}
    for row in report.rows:
        if row.blocker:
            blocked.setdefault(head_of.get(row.blocker, row.blocker), []).append(row)
        # Evidence, although the cause prevents a verdict: the client failed before its situation.
        elif row.is_blocked and row.finding.steps:
            blocked.setdefault(row.clause.id, [])
    by_id = {row.clause.id: row for row in report.rows}
    groups = [
        Group(
            by_id[head],
            tuple(breaches.get(head, ())[1:]),
            # In a circle of clauses that block each other, one of them is the head.
            tuple(row for row in rows if row.clause.id not in blocked),
        )
        for head, rows in blocked.items()
    ]
    return tuple(sorted(groups, key=lambda group: _gravity(report, group)))


def ungrouped(report: Report, groups: Iterable[Group]) -> tuple[Row, ...]:
    """Return the rows that were run and could not be judged, and are in none of the groups."""
    shown = {row.clause.id for group in groups for row in group.rows}
    return tuple(row for row in report.rows if row.is_blocked and row.clause.id not in shown)


def place_of(finding: Finding) -> Place | None:
    """Return the line of the client that raised the exception of the finding; None without one."""
    return last_place(finding.steps)


def last_place(steps: Iterable[Step]) -> Place | None:
    """Return the line that raised the exception by which the last action ended, or None."""
    outcome = _last(steps).outcome
    return outcome.place if isinstance(outcome, Raised) else None


def mistake_of(finding: Finding) -> Raised | None:
    """Return the exception of the finding if its class shows a mistake in the client's code.

    None as well if the line that raised it is unknown.
    """
    outcome = _last(finding.steps).outcome
    if isinstance(outcome, Raised) and outcome.place and outcome.type_name in _MISTAKES:
        return outcome
    return None


def _gravity(report: Report, group: Group) -> tuple[bool, bool, Gravity, int]:
    """Return the sort key of a group: the lower, the graver.

    A cause without a verdict is as grave as the clauses that it blocks, and follows the breaches.
    Of equal ones, the cause comes first that concerns more clauses.
    """
    gravest = min(report.gravity(row) for row in group.rows)
    is_breach = group.head.verdict in BREACHES
    own = report.gravity(group.head) if is_breach else gravest
    return own[0], not is_breach, own, -len(group.rows)


def _cause_of(row: Row) -> Hashable:
    """Return a key that breaches with one cause share; other breaches have one of their own."""
    last = _last(row.finding.steps)
    outcome = last.outcome
    if row.verdict is Verdict.HANG:
        return _Evidence.NO_RETURN
    if isinstance(outcome, SentTooManyRequests):
        return _Evidence.MANY_REQUESTS
    if isinstance(last, ClientUsed) and len(last.exchanges) > _MAX_REQUESTS_OF_A_USE:
        return _Evidence.MANY_REQUESTS
    mistake = mistake_of(row.finding)
    if mistake is not None:
        return mistake.type_name, mistake.place
    if isinstance(outcome, GotToken) and outcome.state == TokenState.EXPIRED.value:
        return _Evidence.EXPIRED_TOKEN_USED
    if isinstance(outcome, GotNoToken) and outcome.instead in _NOTHING:
        return _Evidence.NOTHING_RETURNED
    return row.clause.id


_NOTHING = (NothingUsable.EMPTY_STRING, NothingUsable.NOTHING_RETURNED)
_ACTIONS: tuple[type[Action], ...] = get_args(Action)
_NO_ACTION = ClientUsed(operation="")


def _last(steps: Iterable[Step]) -> Action:
    """Return the last action of the client; an empty one if there is none."""
    actions = [step for step in steps if isinstance(step, _ACTIONS)]
    return actions[-1] if actions else _NO_ACTION
