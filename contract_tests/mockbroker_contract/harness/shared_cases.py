"""Test cases of one clause that other clauses use as well."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from mockbroker.contract.authentication import METHODS, method_in
from mockbroker.contract.clause import Clause
from mockbroker.contract.judging import PASSIVE_CLAUSES
from mockbroker.model.exchange import Trace
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["ON_AUTHENTICATION", "SharedCases"]

ON_AUTHENTICATION = frozenset(
    clause for clause in PASSIVE_CLAUSES if clause.chapter in {method.chapter for method in METHODS}
)
"""The clauses on client authentication: they depend on the credentials in a request."""


class SharedCases:
    """Results of test cases by which more than one clause is judged.

    All passive clauses are judged in every test case. So cases that were explored without a breach
    of a clause need not be explored again for it.

    It belongs to one process: under pytest-xdist each worker explores what its clauses need.
    """

    def __init__(self) -> None:
        self.explored: set[Hashable] = set()
        """The explorations that ended without a breach of the clause that they were for."""
        self.results: dict[Hashable, Any] = {}
        """Results of slow cases, by what the cases were."""
        self.clauses_met: set[Clause] = set()
        """The clauses on client authentication whose precondition a token request has met."""
        self.chapters: set[str] = set()
        """The chapters of the client authentication methods that the client has used."""

    def note_authentication(self, trace: Trace, profile: Profile) -> None:
        """Record which clauses on client authentication the trace shows.

        Called after each case on token requests. The trace may have several requests, with
        different methods.
        """
        for exchange in trace.token_requests:
            self.chapters.add(
                method_in(TokenRequest.of(exchange.request, profile), profile).chapter
            )
        for clause in ON_AUTHENTICATION - self.clauses_met:
            if clause.precondition is not None and clause.precondition.is_met(trace):
                self.clauses_met.add(clause)
