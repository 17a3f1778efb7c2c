"""What the test cases of chapter ``refresh`` share."""

from __future__ import annotations

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome

__all__ = ["CLOCK_NOT_MOVED", "CREDENTIALS", "HONOURS", "LIFETIME", "UNLIMITED", "how_late"]

CREDENTIALS = Credentials("refresh-client", "refresh-s3cret")
# The lifetime in the token response of the provider's documentation.
LIFETIME = 3599
HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
CLOCK_NOT_MOVED = "the client's clock could not be moved"
UNLIMITED = 1000


def how_late(session: ClientSession, outcome: Outcome) -> str:
    """Return in words how long the token of the outcome had expired."""
    assert outcome.token is not None
    seconds = session.now() - outcome.token.expires_at
    return f"{seconds:.0f} s after it expired" if round(seconds) else "at the moment of its expiry"
