"""Uses of a client that meet in an arranged order, because the broker holds an answer back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mockbroker.broker.faults import Fault
from mockbroker.fake_broker import Broker
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.report.steps import Arrangement, OtherClientAdded, UsesArranged
from mockbroker_contract.drivers.driver import Answer, ArrangedUses
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome

__all__ = [
    "beside_one_in_flight",
    "cancelled_use",
    "killed_in_flight",
    "refreshed_meanwhile",
    "refused_at_once",
    "while_one_is_in_flight",
]

_UNTIL_RELEASED_SECONDS = 3600.0
_ANSWERS = 1000
_NO_FAULT = Fault()
# RFC 6750, 3.1: "The access token provided is expired, revoked, malformed, or invalid for other
# reasons."
_INVALID_TOKEN = Fault.status(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
_ARRIVAL_SECONDS = 2.0
"""Real time that a request may take to arrive at the broker."""
_PROMPT_ARRIVAL_SECONDS = 0.2


class _HeldAnswers:
    """Answers of one endpoint that the broker holds back until they are released."""

    def __init__(self, broker: Broker, endpoint: Endpoint, answers: int, fault: Fault) -> None:
        self._arrived = threading.Semaphore(0)
        script = broker.script if endpoint is Endpoint.TOKEN else broker.api_script
        script((Fault.delay(_UNTIL_RELEASED_SECONDS) & fault).times(answers))

        def count(exchange: Exchange) -> None:
            if exchange.endpoint is endpoint:
                self._arrived.release()

        self.end = broker.journal.subscribe(count)
        """End the counting of requests."""

    def wait_for(self, requests: int = 1, seconds: float = _ARRIVAL_SECONDS) -> bool:
        """Wait until that many requests have arrived; return whether they have.

        Each of them may take that many seconds of real time.
        """
        return all(self._arrived.acquire(timeout=seconds) for _ in range(requests))


@contextmanager
def _held(
    broker: Broker, endpoint: Endpoint, answers: int = _ANSWERS, fault: Fault = _NO_FAULT
) -> Iterator[_HeldAnswers]:
    """Hold that many answers of an endpoint while the context lasts; then send all of them."""
    held = _HeldAnswers(broker, endpoint, answers, fault)
    try:
        yield held
    finally:
        # Also after an error: the client's process could not end while it waits for an answer.
        held.end()
        broker.clear_scripts()
        broker.release()


def while_one_is_in_flight(
    session: ClientSession, operation: str, count: int, fault: Fault = _NO_FAULT
) -> list[Outcome]:
    """Begin a use, hold its token request at the broker, begin the others, and let all end.

    The held requests end with ``fault``; those that follow get the usual answer. Raises NotTested
    if the first use requests no token.
    """
    session.record(UsesArranged(arrangement=Arrangement.ONE_IN_FLIGHT))
    return session.use_arranged(
        operation, count, lambda uses: _in_flight(session, uses, operation, count, fault=fault)
    )


def beside_one_in_flight(
    first: ClientSession, second: ClientSession, operation: str
) -> Outcome | None:
    """Hold the token request of one client at the broker, and use one with another client_id.

    Return the outcome of the second client, whose request is not held; None if the first client
    requests no token, such as one that has fetched it when it was made.
    """
    second.record(UsesArranged(arrangement=Arrangement.NEIGHBOUR_IN_FLIGHT))
    second.record(OtherClientAdded(difference="client_id"))
    seconds: list[Outcome] = []

    def arrange(uses: ArrangedUses) -> list[Answer]:
        with _held(first.broker, Endpoint.TOKEN, answers=1) as held:
            uses.begin(operation, 1, **first.call_of(operation))
            is_in_flight = held.wait_for()

            def arrange_second(others: ArrangedUses) -> list[Answer]:
                others.begin(operation, 1, **second.call_of(operation))
                others.settle()
                # A client that waits for the first one's token would not end before.
                first.broker.release()
                return others.finish()

            if is_in_flight:
                seconds.extend(second.use_arranged(operation, 1, arrange_second))
        return uses.finish()

    first.use_arranged(operation, 1, arrange)
    return seconds[0] if seconds else None


def killed_in_flight(session: ClientSession, operation: str) -> None:
    """Begin a use, and kill the client's process while it waits for the answer of the broker.

    The next use makes the client again. Raises NotTested if the client requests no token.
    """
    with _held(session.broker, Endpoint.TOKEN) as held:
        session.begin(operation)
        is_in_flight = held.wait_for()
        session.kill()
    if not is_in_flight:
        raise NotTested("the client requested no token")


def cancelled_use(
    session: ClientSession, operation: str, count: int, arrangement: Arrangement
) -> list[Outcome]:
    """Do as `while_one_is_in_flight` does, and cancel a use while all of them wait.

    The outcome of the cancelled use is not among the results.
    """
    number = 0 if arrangement is Arrangement.FETCHER_CANCELLED else 1
    session.record(UsesArranged(arrangement=arrangement))
    outcomes = session.use_arranged(
        operation,
        count,
        lambda uses: _in_flight(session, uses, operation, count, cancelled=number),
    )
    return outcomes[:number] + outcomes[number + 1 :]


def _in_flight(
    session: ClientSession,
    uses: ArrangedUses,
    operation: str,
    count: int,
    *,
    cancelled: int | None = None,
    fault: Fault = _NO_FAULT,
) -> list[Answer]:
    call = session.call_of(operation)
    with _held(session.broker, Endpoint.TOKEN, fault=fault) as held:
        uses.begin(operation, 1, **call)
        # A client that has a token already ends at once; the wait would be lost for each use.
        is_in_flight = held.wait_for(seconds=_PROMPT_ARRIVAL_SECONDS) or (
            not uses.settle() and held.wait_for()
        )
        if is_in_flight:
            uses.begin(operation, count - 1, **call)
            uses.settle()
            if cancelled is not None:
                uses.cancel(cancelled)
                uses.settle()
    answers = uses.finish()
    if not is_in_flight:
        raise NotTested("the client requested no token")
    return answers


def refreshed_meanwhile(
    session: ClientSession, operation: str, count: int, pause: float
) -> list[Outcome]:
    """Hold all calls but the last at the API, let time pass, and have the last one refresh.

    Then the held calls are refused, as by a broker where a new token ends the old one. ``pause`` is
    in seconds.
    """
    session.record(UsesArranged(arrangement=Arrangement.REFRESHED_MEANWHILE))

    def arrange(uses: ArrangedUses) -> list[Answer]:
        call = session.call_of(operation)
        with _held(session.broker, Endpoint.API, count - 1, _INVALID_TOKEN) as calls:
            uses.begin(operation, count - 1, **call)
            calls.wait_for(count - 1)
            session.advance(pause)
            uses.begin(operation, 1, **call)
            uses.settle()
        return uses.finish()

    return session.use_arranged(operation, count, arrange)


def refused_at_once(session: ClientSession, operation: str, count: int) -> list[Outcome]:
    """Hold that many calls at the API, refuse all of them, and hold the next token request.

    The token request is held until each use has ended or waits. So a use that does not wait for the
    new token shows what it has instead.
    """
    session.record(UsesArranged(arrangement=Arrangement.REFUSED_AT_ONCE))

    def arrange(uses: ArrangedUses) -> list[Answer]:
        with _held(session.broker, Endpoint.API, count) as calls:
            uses.begin(operation, count, **session.call_of(operation))
            calls.wait_for(count)
            with _held(session.broker, Endpoint.TOKEN) as held:
                session.broker.release()
                # A client that does not repeat a call has ended now.
                if not uses.settle():
                    held.wait_for()
                    uses.settle()
        return uses.finish()

    return session.use_arranged(operation, count, arrange)
