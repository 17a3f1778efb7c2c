"""One contract run: the client under test, the brokers, time, and the findings so far."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker_contract.drivers.driver import DriverSource
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.harness.brokers import Brokers
from mockbroker_contract.harness.budget import Budget
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.exploration import Explorer
from mockbroker_contract.harness.findings import Findings
from mockbroker_contract.harness.hangs import Hangs
from mockbroker_contract.harness.replay import Replays
from mockbroker_contract.harness.settings import RunSettings
from mockbroker_contract.harness.shared_cases import SharedCases
from mockbroker_contract.timing.run_time import RunTime, VirtualTime

__all__ = ["OWN_SCENARIO_ONLY", "ContractRun", "PreflightResult"]

OWN_SCENARIO_ONLY = frozenset({clauses.cache.REUSE.id, clauses.signing.BEARER.id})
"""Clauses whose breach counts in their own scenario only: other causes are possible elsewhere."""


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """Result of an ordinary use of the client, before any clause was judged.

    ``blocked`` says why the client cannot be judged, or is empty; ``blocked_by`` is the clause that
    it breaks so. ``missed_by`` is the operation whose request did not reach the broker, or empty.
    ``hung`` is True if the reason is that it did not return, ended the program or was stopped.
    ``clock_seen`` is False if the client uses a clock that a test case cannot move.
    """

    blocked: str = ""
    blocked_by: Clause = clauses.response.DOCUMENTED
    hung: bool = False
    missed_by: str = ""
    clock_seen: bool = True


class ContractRun:
    """State that the test cases of one run share; `checked_run` makes one.

    One object for the whole session, so that a clause may use what another one has found out. It
    owns the client's process, the servers and the folders; `close` releases them in this order.
    """

    def __init__(self, clients: DriverSource, settings: RunSettings) -> None:
        self.clients = clients
        self.settings = settings
        self.budget = Budget(settings.budget)
        self.sandbox = Sandbox(settings.copies)
        self.brokers = Brokers(settings.profile, self.sandbox.outside)
        self.findings = Findings(settings.fail_on)
        self.replays = Replays(settings.replays)
        self.shared = SharedCases()
        self.hangs = Hangs()
        self.use_numbers = itertools.count(1)
        """A number for each use of any client, which separates the clients of one broker."""
        self.capabilities: tuple[str, ...] = ()
        """The operations that the client offers; empty before the preflight."""
        self.preflight = PreflightResult()
        try:
            # Before any thread is started, because a host may have to be forked.
            clients.use_sandbox(
                self.sandbox,
                shows_output=settings.shows_output,
                shows_tracebacks=settings.shows_tracebacks,
            )
            self.brokers.start()
        # Also for a Ctrl-C: a host that was started must not outlive the run.
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the servers, end the clients, and remove their folders.

        Safe to call after a failed start.
        """
        # First, because a client may still send requests while it is closed.
        self.clients.close()
        self.brokers.close()
        # The folders last, because a process that still runs could create files there again.
        self.sandbox.close()

    @property
    def explorer(self) -> Explorer:
        """The explorer with the settings and the budget of this run."""
        return Explorer(self.settings, self.budget, self.replays, self.brokers, self.findings)

    def needs(self, operation: str) -> None:
        """Raise NotApplicable if the client lacks that operation.

        For clauses on signed calls, which a client of tokens only does not make.
        """
        if operation not in self.capabilities:
            raise NotApplicable(f"the client offers no {operation}")

    def needs_many_at_once(self) -> None:
        """Raise NotApplicable if no operation of the client can run concurrently."""
        if not any(map(self.clients.can_be_used_at_once, self.capabilities)):
            raise NotApplicable("the driver offers no burst")

    def needs_working_client(self) -> None:
        """Raise NotTested if not even an ordinary use of the client succeeds.

        Every clause with a precondition of its own calls it first, so that one defect is reported
        once.
        """
        if self.preflight.blocked:
            raise NotTested(self.preflight.blocked, blocked_by=self.preflight.blocked_by)

    def needs_returning_client(self) -> None:
        """Raise NotTested if the client does not return from an ordinary use.

        For clauses on token requests, which a client that always raises can still break or keep.
        """
        if self.preflight.hung:
            self.needs_working_client()

    def note(self, breached: ContractBreached) -> None:
        """Store a breach of a clause other than the one being judged, if it counts.

        Breaches count in any scenario, because the broker records them in each. The clauses of
        ``OWN_SCENARIO_ONLY`` count here only if no ordinary use succeeds, as their own scenario is
        then not reached.
        """
        clause_id = breached.clause_id
        if self._counts_here(clause_id):
            self.findings.note(breached)
        else:
            # Known as broken, but without a finding: its own scenario decides.
            self.findings.broken.add(clause_id)

    def has_noted(self, clause_id: str) -> bool:
        """Return whether `note` would change nothing for another breach of that clause."""
        if self._counts_here(clause_id):
            return self.findings.has(clause_id)
        return clause_id in self.findings.broken

    def _counts_here(self, clause_id: str) -> bool:
        return clause_id not in OWN_SCENARIO_ONLY or bool(self.preflight.blocked)

    @property
    def time(self) -> RunTime:
        """The time that test cases move, and that brokers use."""
        return self.brokers.time

    @time.setter
    def time(self, time: RunTime) -> None:
        self.brokers.time = time

    def possible_times(self) -> Sequence[RunTime]:
        """Return the kinds of time that the clients may follow, the best first, real time last.

        Each call returns new objects.
        """
        return self.clients.times()

    def frozen_time(self) -> AbstractContextManager[object]:
        """Stop the run's time, if it can be stopped, while the context lasts."""
        return self.time.frozen()

    @property
    def zoned_time(self) -> VirtualTime | None:
        """The run's time, if it can change the client's local time zone."""
        return self.time if isinstance(self.time, VirtualTime) else None
