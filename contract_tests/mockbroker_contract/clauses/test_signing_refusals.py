"""Chapter ``signing``: what a client does when the API refuses its call."""

from __future__ import annotations

import pytest

from mockbroker.broker.faults import Fault, Manner
from mockbroker.contract import clauses
from mockbroker.contract.profile_words import refused_token
from mockbroker.model.credentials import AccessToken, TokenState
from mockbroker_contract.clauses.signing_cases import (
    CREDENTIALS,
    UNAUTHORIZED,
    called,
    caller_sees,
    fail_call,
    revoke,
    settled_use,
    without_call,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_MAX_ATTEMPTS = 2
# More than any use can send.
_UNLIMITED = 200
_SHORTER = 600
_REVOCATIONS = 2
# RFC 6750, 3: the header has what the client needs. A gateway may send what it likes in the body.
_REFUSED = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}
_BODIES = {"no body": "", "a page": "<html><body>401 Authorization Required</body></html>"}


@pytest.mark.contract_clause(clauses.signing.REVOKED)
def test_revoked(scenario: Scenario) -> None:
    """Check that the client replaces a revoked token and repeats the call once.

    The test revokes twice, because a client may use up a flag at the first time. The second new
    token has a shorter lifetime than the one before. A client that keeps no token never presents a
    revoked one, and passes. Other cases have a refusal without a JSON body, unless the provider's
    form of it is in the body.
    """
    scenario.run.needs(REQUEST)

    def run_case(_uses: int, _operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            lost = session.use_well(REQUEST).token
            for _ in range(_REVOCATIONS):
                revoke(session)
                outcome = called(session)
                _must_have_another_token(session, outcome, lost)
                lost = outcome.token
            # A client may compute the expiry from the first lifetime that it has seen.
            if session.can_pass(_SHORTER):
                session.issue_with(_SHORTER)
                revoke(session)
                session.use(REQUEST)
                session.advance(_SHORTER + 1)
                session.use(REQUEST)
            return Situation.MET

    scenario.for_each([1], run_case, operations=(REQUEST,))
    if scenario.run.settings.profile.error_form("token_invalid") is None:
        scenario.for_each(
            list(_BODIES),
            lambda body, _: _case_of_body(scenario, _BODIES[body]),
            operations=(REQUEST,),
        )


def _case_of_body(scenario: Scenario, body: str) -> Situation:
    """Refuse a revoked token with that body, and judge what the client does."""
    with scenario.session(credentials=CREDENTIALS) as session:
        settled = settled_use(session)
        revoke(session)
        fail_call(session, settled, Fault.status(UNAUTHORIZED, body=body, headers=_REFUSED))
        outcome = called(session)
        # A client that keeps no token does not present the revoked one.
        if any(call.token == settled.token for call in outcome.api_calls):
            _must_have_another_token(session, outcome, settled.token)
        return Situation.MET


def _done_instead(outcome: Outcome) -> str:
    """Return what a client did in place of a call with a new token."""
    first, *others = outcome.api_calls
    if not others:
        return "gave up the call"
    if others[-1].token == first.token:
        return "repeated the call with the same token"
    if others[-1].token_state is TokenState.VALID:
        return "repeated the call, but gave its caller the first answer"
    return "gave up the call"


def _must_have_another_token(
    session: ClientSession, outcome: Outcome, lost: AccessToken | None
) -> None:
    """Raise the breach of the clause if the client gave up a call whose token was refused."""
    if outcome.token == lost or outcome.status == UNAUTHORIZED:
        session.breach(
            f"the API answered {refused_token(session.broker.profile)} and the client "
            f"{_done_instead(outcome)}",
            "a new token and one more try",
            outcome.api_calls,
        )
    if outcome.error is not None:
        session.breach(f"the client raised {session.masked(outcome.error)}", "one more try")


@pytest.mark.contract_clause(clauses.signing.NO_RETRY_STORM)
def test_no_retry_storm(scenario: Scenario) -> None:
    """Check that the client stops and reports the error when every call is rejected.

    Before the first use, and after a good one: a client may treat its first token differently. At
    most two calls and two token requests are allowed.
    """
    scenario.run.needs(REQUEST)

    def run_case(uses_before: int, _operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            for _ in range(uses_before):
                session.use_well(REQUEST)
            # RFC 6750, 3.1: invalid_token is the code at which a client may request a new one.
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            fault = Fault.status(401, headers=challenge)
            session.broker.api_script(fault.times(_UNLIMITED))
            session.record(fault_step(fault, "api"))
            # Every call is rejected, whatever token it has: only the client itself can end the
            # loop.
            _must_stop(session, called(session))
            return Situation.MET

    for uses_before in (0, 1):  # each case must meet the precondition
        scenario.for_each([uses_before], run_case, operations=(REQUEST,))


def _must_stop(session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause if the client repeated too often.

    A client that hides the error from its caller breaches it as well.
    """
    calls, fetched = len(outcome.api_calls), len(outcome.token_requests)
    if calls > _MAX_ATTEMPTS or fetched > _MAX_ATTEMPTS:
        session.breach(
            f"one call led to {calls} calls and {fetched} token requests",
            f"at most {_MAX_ATTEMPTS} of each",
            outcome.exchanges[:6],
        )
    # A client that gives up silently leaves its caller with an answer that looks good.
    if outcome.error is None and not caller_sees(outcome, UNAUTHORIZED):
        result = "nothing" if outcome.status is None else f"status {outcome.status}"
        session.breach(
            f"the caller got {result}",
            "the 401, or an exception",
            outcome.api_calls,
        )


_SHORT_TIMEOUT = 0.2
# Real seconds. A client without a timeout sees the connection close after it.
_STALLED_SECONDS = 1.5
_FAILED_CALLS: dict[str, tuple[str, Fault]] = {
    "a POST was answered 503": ("POST", Fault.status(503)),
    "a POST was answered 500": ("POST", Fault.status(500)),
    "a PATCH was answered 502": ("PATCH", Fault.status(502)),
    "the connection of a POST was reset": ("POST", Fault.reset()),
    "a POST was not answered": ("POST", Fault.stall(_STALLED_SECONDS)),
}


@pytest.mark.contract_clause(clauses.signing.NO_REPLAY)
def test_no_replay(scenario: Scenario) -> None:
    """Check that the client sends a POST or PATCH once when it is not known whether it was done.

    Every further answer is good, so that a second call would succeed.
    """
    scenario.run.needs(REQUEST)

    def run_case(what: str, _operation: str) -> Situation:
        method, fault = _FAILED_CALLS[what]
        # Only where the client is to run into it: on a busy machine other answers take longer.
        config = {"timeout": _SHORT_TIMEOUT} if fault.manner is Manner.STALL else {}
        with scenario.session(credentials=CREDENTIALS, config=config) as session:
            fail_call(session, settled_use(session), fault)
            outcome = session.call(method, session.broker.api_url + "/vehicle")
            calls = outcome.calls_after_challenge
            if not calls:
                raise without_call(session, outcome)
            if len(calls) > 1:
                session.breach(
                    f"{what}, and the client sent it again",
                    "the answer or an error to the caller, who knows whether to repeat it",
                    calls,
                )
            return Situation.MET

    scenario.for_each(_FAILED_CALLS, run_case, operations=(REQUEST,))


@pytest.mark.contract_clause(clauses.signing.FORBIDDEN)
def test_forbidden(scenario: Scenario) -> None:
    """Check that the client requests no new token after an error that one cannot fix.

    403, 429, 500 and 503, each once. The next call must not request a token either, as a client may
    discard it for later.
    """
    scenario.run.needs(REQUEST)

    def run_case(status: int, _operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            first = settled_use(session)
            fail_call(session, first, Fault.status(status))
            outcome = called(session)
            # No token was kept, so that a new one is not fetched because of the error.
            refused = outcome.calls_after_challenge
            if not refused or refused[0].token != first.token:
                return Situation.MET  # a client that keeps no token requests one for every call
            for later, when in ((outcome, ""), (called(session), " for the next call")):
                if later.token_requests:
                    session.breach(
                        f"the API answered {status} and the client fetched a new token{when}",
                        "no token request: the token was not what was refused",
                        (*outcome.exchanges, *later.exchanges) if when else outcome.exchanges,
                    )
            return Situation.MET

    # RFC 6750, 3.1: an invalid token is answered with 401, so none of these says that the token is
    # invalid.
    scenario.for_each([403, 429, 500, 503], run_case, operations=(REQUEST,))
