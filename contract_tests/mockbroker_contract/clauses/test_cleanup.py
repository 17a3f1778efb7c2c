"""Chapter ``cleanup``: what a client leaves behind."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import ClientClosed, TokensRevoked
from mockbroker_contract.drivers.driver import REQUEST, Holdings
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_CREDENTIALS = Credentials("cleanup-client", "cleanup-s3cret")
_LIFETIME = 3599
_END_SECONDS = 3.0
"""Real time that a program may take to end; a timer for the next refresh takes an hour."""


@pytest.mark.contract_clause(clauses.cleanup.ENDS)
def test_ends(scenario: Scenario) -> None:
    """Check that a program ends after the client was used, closed and dropped.

    A thread that is not a daemon and still runs after the close is a suspicion only. Then the
    client is used in a new process, which must end.
    """

    def run_case(lifetime: int, operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            session.use_well(operation)
            threads = session.threads_after_close()
        if not threads:
            return Situation.MET
        scenario.run.clients.restart()
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            session.use_well(operation)
            threads = session.threads_after_close()
            session.record(ClientClosed())
            if threads and not scenario.run.clients.ends_within(_END_SECONDS):
                session.breach(
                    f"{_END_SECONDS:g} s after the client was closed its program still ran, with "
                    f"the thread {threads[0]}",
                    "the end of the program",
                )
            return Situation.MET

    scenario.for_each([_LIFETIME], run_case)


_FEW_TOKENS, _MORE_TOKENS = 3, 8
_MUCH = 6
"""Growth that counts: of a pool that fills up, a few threads or sockets may be new."""


@pytest.mark.contract_clause(clauses.cleanup.BOUNDED)
def test_bounded(scenario: Scenario) -> None:
    """Check that threads, sockets and files do not grow with the number of tokens.

    Counted after a few tokens, and after some more. The tokens are revoked, one after the other. A
    client that does not notice is given more time instead; its threads are not counted then,
    because they may wait for the real end of a lifetime.
    """

    def run_case(lifetime: int, operation: str) -> Situation:
        if operation == REQUEST:
            scenario.needs_recovery_from_refusal()
        with scenario.session(credentials=_CREDENTIALS, expires_in=lifetime) as session:
            session.use_well(operation)
            by_refusal = _replace_tokens(scenario, session, operation, _FEW_TOKENS)
            before, files_before = session.holdings(), len(scenario.run.sandbox.files())
            _replace_tokens(scenario, session, operation, _MORE_TOKENS)
            after, files = session.holdings(), len(scenario.run.sandbox.files())
            grown = {
                **_growth(before, after, with_threads=by_refusal),
                "files in its folders": files - files_before,
            }
            for kind, more in grown.items():
                if more >= _MUCH:
                    session.breach(
                        f"{_MORE_TOKENS} more tokens left {more} more {kind} behind",
                        "as many as before",
                    )
            return Situation.MET

    # A call shows a refusal; get_token can only be given more time.
    operations = [REQUEST] if REQUEST in scenario.run.capabilities else []
    scenario.for_each([_LIFETIME], run_case, operations=operations)


def _growth(before: Holdings, after: Holdings, *, with_threads: bool) -> dict[str, int]:
    growth = {
        "sockets": after.sockets - before.sockets,
        "open files": after.files - before.files,
    }
    if with_threads:
        growth["threads"] = after.threads - before.threads
        growth["tasks"] = after.tasks - before.tasks
    return growth


def _replace_tokens(scenario: Scenario, session: ClientSession, operation: str, count: int) -> bool:
    """Have the client fetch that many tokens; return whether it did so after a refusal."""
    known = len(session.trace.token_requests)
    by_refusal = operation == REQUEST
    for number in range(count):
        if by_refusal:
            session.broker.revoke_tokens()
            session.record(TokensRevoked())
            session.use(operation)
            by_refusal = len(session.trace.token_requests) > known + number
        if not by_refusal:
            if not scenario.run.time.is_virtual:
                raise NotTested("the client's clock could not be moved")
            session.advance(2 * _LIFETIME)
            session.use_well(operation)
    if len(session.trace.token_requests) < known + count:
        raise NotTested(
            "the client requested no new token", blocked_by=clauses.refresh.HONOURS_EXPIRES_IN
        )
    return by_refusal
