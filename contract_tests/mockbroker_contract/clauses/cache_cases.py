"""What the test cases of chapter ``cache`` share."""

from __future__ import annotations

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario

__all__ = ["AT_ONCE", "CREDENTIALS", "HONOURS", "SLOW_FIRST", "keeps_tokens", "must_have_token"]

CREDENTIALS = Credentials("cache-client", "cache-s3cret")
HONOURS = clauses.refresh.HONOURS_EXPIRES_IN


# Enough uses for a race, and few enough to start within milliseconds.
AT_ONCE = 8
SLOW_FIRST = (0.06, 0.01, 0.04, 0.02, 0.05, 0.015, 0.03, 0.025)
"""Delays in seconds of concurrent token responses: later responses overtake earlier ones."""


def keeps_tokens(scenario: Scenario, operation: str) -> bool:
    """Return whether a client uses a fresh token again; asked once for each operation."""
    results = scenario.run.shared.results
    if (keeps_tokens, operation) not in results:
        with scenario.session(credentials=CREDENTIALS, expires_in=3599) as session:
            keeps = session.use_well(operation).token == session.use(operation).token
        results[keeps_tokens, operation] = keeps
    return bool(results[keeps_tokens, operation])


def must_have_token(session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause unless the use ended with a valid token."""
    if outcome.is_good:
        return
    error = outcome.error
    result = f"raised {session.masked(error)}" if error else outcome.in_words
    session.breach(f"the client {result}", "a token of the broker", outcome.exchanges)
