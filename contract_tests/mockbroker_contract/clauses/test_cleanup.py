"""Chapter ``cleanup``: what a client leaves behind."""

from __future__ import annotations

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import ClientClosed, ClientsClosed, TokensRevoked
from mockbroker_contract.drivers.driver import REQUEST, Holdings
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.recorder import fault_step
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
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
_UNLIMITED = 10**6
_BREAKER_SECONDS = 60.0
_MUCH = 6
"""Growth that counts: of a pool that fills up, a few threads or sockets may be new."""


@pytest.mark.contract_clause(clauses.cleanup.BOUNDED)
def test_bounded(scenario: Scenario) -> None:
    """Check that threads, sockets and files do not grow with the number of tokens.

    Counted after a few tokens, and after some more. The tokens are revoked, one after the other. A
    client that does not notice is given more time instead; its threads are not counted then,
    because they may wait for the real end of a lifetime. Then the token requests fail;
    then other clients are made and closed.
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
            _must_not_be_much(session, grown, f"{_MORE_TOKENS} more tokens")
            return Situation.MET

    # A call shows a refusal; get_token can only be given more time.
    operations = [REQUEST] if REQUEST in scenario.run.capabilities else []
    scenario.for_each([_LIFETIME], run_case, operations=operations)
    scenario.for_each(
        _FAILURES,
        lambda fault, operation: _grows_by_failures(scenario, fault, operation),
        operations=scenario.run.capabilities[:1],
    )
    scenario.for_each(
        [_LIFETIME],
        lambda _, operation: _grows_by_clients(scenario, operation),
        operations=scenario.run.capabilities[:1],
    )


def _grows_by_clients(scenario: Scenario, operation: str) -> Situation:
    """Judge what clients leave behind after they are closed and dropped, by one that stays.

    `cleanup.ends` judges threads that a program waits for. A client that cannot be closed has to
    leave its threads running.
    """
    with scenario.session(credentials=_CREDENTIALS, expires_in=_LIFETIME) as session:
        session.use_well(operation)
        if not session.holdings().is_closable or session.threads_after_close():
            return Situation.MET
    with scenario.session(credentials=_CREDENTIALS, expires_in=_LIFETIME) as session:
        session.use_well(operation)

        def close_clients(count: int) -> Holdings:
            for _ in range(count):
                with scenario.session(credentials=_CREDENTIALS, broker=session.broker) as other:
                    other.use_well(operation)
            return session.holdings()

        before = close_clients(_FEW_TOKENS)
        grown = _growth(before, close_clients(_MORE_TOKENS), with_threads=True)
        session.record(ClientsClosed(count=_FEW_TOKENS + _MORE_TOKENS))
        _must_not_be_much(session, grown, f"{_MORE_TOKENS} more clients that were closed")
        return Situation.MET


# A client may leave a response open, or a thread waiting, on one path of failure only.
_FAILURES = (Fault.status(401), Fault.status(503), Fault.reset())


def _grows_by_failures(scenario: Scenario, fault: Fault, operation: str) -> Situation:
    """Judge what token requests that fail leave behind, after a token has expired."""
    if not scenario.run.time.is_virtual:
        return Situation.MET
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=_LIFETIME, elsewhere=[_HONOURS]
    ) as session:
        session.use_well(operation)
        session.advance(2 * _LIFETIME)
        session.broker.script(fault.times(_UNLIMITED))
        session.record(fault_step(fault))
        _fail(session, operation, _FEW_TOKENS)
        before, files_before = session.holdings(), len(scenario.run.sandbox.files())
        _fail(session, operation, _MORE_TOKENS)
        after, files = session.holdings(), len(scenario.run.sandbox.files())
        grown = {
            **_growth(before, after, with_threads=True),
            "files in its folders": files - files_before,
        }
        _must_not_be_much(session, grown, f"{_MORE_TOKENS} more token requests that failed")
        return Situation.MET


def _fail(session: ClientSession, operation: str, count: int) -> None:
    """Use the client that many times; a circuit breaker must have closed again each time."""
    for _ in range(count):
        session.use(operation)
        if session.can_pass(_BREAKER_SECONDS):
            session.advance(_BREAKER_SECONDS)


def _must_not_be_much(session: ClientSession, grown: dict[str, int], by: str) -> None:
    """Raise the breach of the clause if something has grown too much."""
    for kind, more in grown.items():
        if more >= _MUCH:
            session.breach(f"{by} left {more} more {kind} behind", "as many as before")


def _growth(before: Holdings, after: Holdings, *, with_threads: bool) -> dict[str, int]:
    # Threads first: a thread that stays keeps its connections as well.
    growth = {}
    if with_threads:
        growth["threads"] = after.threads - before.threads
        growth["tasks"] = after.tasks - before.tasks
    growth["sockets"] = after.sockets - before.sockets
    growth["open files"] = after.files - before.files
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
