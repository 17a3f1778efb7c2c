"""What the test cases of chapter ``signing`` share."""

from __future__ import annotations

from typing import Any

from mockbroker.broker.faults import Fault
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import TokensRevoked
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step

__all__ = [
    "CHALLENGE",
    "CREDENTIALS",
    "SECONDS_BEFORE_REVOCATION",
    "UNAUTHORIZED",
    "called",
    "caller_sees",
    "fail_call",
    "revoke",
    "settled_use",
    "without_call",
]

# Characters of Base64 in the secret, so that an encoded form is found as well.
CREDENTIALS = Credentials("signing-client", "signing-s3cret/+=")
UNAUTHORIZED = 401
# RFC 6750, 3: the answer to a call without a token, which has no error code.
CHALLENGE = Fault.status(UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="api"'})
SECONDS_BEFORE_REVOCATION = 5


def without_call(session: ClientSession, outcome: Outcome) -> NotTested:
    """Return the reason why a use without a call of the API proves nothing."""
    error = f": it raised {session.masked(outcome.error)}" if outcome.error is not None else ""
    return NotTested(f"the client made no call to the API{error}")


def called(session: ClientSession, **kwargs: Any) -> Outcome:
    """Use the client for a signed call. Raises NotTested if none reached the API."""
    outcome = session.use(REQUEST, **kwargs)
    if not outcome.api_calls:
        raise without_call(session, outcome)
    return outcome


def settled_use(session: ClientSession) -> Outcome:
    """Use the client well, until its uses are alike.

    A second time only after an unsigned call: it shows whether every call begins with one.
    """
    outcome = session.use_well(REQUEST)
    return session.use_well(REQUEST) if outcome.challenges else outcome


def fail_call(session: ClientSession, settled: Outcome, fault: Fault) -> None:
    """Script a fault for the next call with a token, and record it.

    ``settled`` is a good use: the client begins the next one with as many unsigned calls, which get
    their usual 401.
    """
    session.broker.api_script(*[CHALLENGE] * len(settled.challenges), fault)
    session.record(fault_step(fault, "api", times=1))


def revoke(session: ClientSession) -> None:
    """Revoke the tokens some seconds after the last one, so that a new one differs in expiry."""
    session.advance(SECONDS_BEFORE_REVOCATION if session.can_pass(SECONDS_BEFORE_REVOCATION) else 0)
    session.broker.revoke_tokens()
    session.record(TokensRevoked())


def caller_sees(outcome: Outcome, status: int) -> bool:
    """Return whether the caller can see that status, also in an object of the client's own type."""
    if outcome.status is None:
        return outcome.returned is not None and not outcome.returned.is_none
    return outcome.status == status
