"""Findings of a run so far: breaches of clauses, and measured facts."""

from __future__ import annotations

from typing import Any

from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Level
from mockbroker.report.finding import Finding, Verdict
from mockbroker_contract.harness.endings import ContractBreached

__all__ = ["Findings"]

_LEVELS = list(Level)


class Findings:
    """Breaches that test cases of other clauses showed, and facts about the client.

    ``fail_on`` is the lowest level whose breach fails the run.

    The first breach of a clause is kept, because a report has one finding for each clause.
    """

    def __init__(self, fail_on: Level) -> None:
        self._fail_on = fail_on
        self._breaches: dict[str, Finding] = {}
        self._facts: dict[str, Any] = {}
        self.examples: dict[str, Any] = {}
        """The drawn example that led to a noted breach, by clause id, if there is one."""
        self.broken: set[str] = set()
        """The ids of the clauses of which this process has seen a breach."""

    def note(self, breached: ContractBreached) -> None:
        """Store the first breach of each clause that is not the one being judged.

        Later ones are dropped: a report has one finding for each clause.
        """
        clause_id = breached.clause_id
        self.broken.add(clause_id)
        if clause_id not in self._breaches:
            # For --write-known, which stores the example so that a later run tries it first.
            if breached.drawn is not None:
                self.examples[clause_id] = breached.drawn
            self._breaches[clause_id] = breached.finding(self.verdict_on_breach(clause_id))

    def has(self, clause_id: str) -> bool:
        """Return whether a breach of that clause is stored, so that `note` drops the next one."""
        return clause_id in self._breaches

    def take(self) -> list[Finding]:
        """Return the breaches noted since the last call.

        Each finding is returned once, because under pytest-xdist a report carries it to another
        process.
        """
        breaches = list(self._breaches.values())
        self._breaches.clear()
        return breaches

    def verdict_on_breach(self, clause_id: str) -> Verdict:
        """Return ``failed``, or ``advice`` for a level below the one that fails the run.

        Whether the failure is a known one is decided by the report.
        """
        level = clause_named(clause_id).level
        # The levels are defined from the strictest to the weakest.
        is_binding = _LEVELS.index(level) <= _LEVELS.index(self._fail_on)
        return Verdict.FAILED if is_binding else Verdict.ADVICE

    def learn(self, **facts: Any) -> None:
        """Store measured facts about the client for the report.

        Later values replace earlier ones of the same name. Values must be JSON.
        """
        self._facts.update(facts)

    @property
    def measured(self) -> dict[str, Any]:
        """The measured facts, as the report shows them."""
        return dict(self._facts)
