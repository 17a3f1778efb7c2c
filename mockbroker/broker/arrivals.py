"""One request on its way through the broker: the arrival, the outcome, the exchange recorded.

The three values are immutable. Each step of the way makes the next one, so that no step can change
what an earlier one has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mockbroker.broker.answers import Reply, apply_fault
from mockbroker.broker.faults import Fault
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.messages import Request, Response

__all__ = ["Arrival", "Outcome", "exchange_of", "faulty_reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request, and the broker's state when the request arrived.

    ``received_at`` is in Unix seconds by the broker's clock. ``fault`` was taken from the script
    for this answer. Every wait of the answer ends when ``released`` is set. ``origin`` is the
    scheme, host and port that received the request.
    """

    endpoint: Endpoint
    request: Request
    origin: str
    received_at: float
    fault: Fault | None
    released: threading.Event

    @property
    def scripted_status(self) -> int:
        """The status that a fault demands, or 200."""
        return (self.fault and self.fault.status_code) or 200

    @property
    def needs_answer(self) -> bool:
        """Whether the endpoint has to do its work."""
        return self.fault is None or not self.fault.answers_by_itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer of an endpoint, and what it found, before a fault changes the answer.

    ``credentials`` are those of the client that most likely sent the request. ``token`` is the
    token issued or presented, and ``token_state`` the state of a presented one. ``hint`` is on a
    request that no endpoint has judged.
    """

    response: Response
    breaches: tuple[Breach, ...] = ()
    credentials: Credentials | None = None
    token: AccessToken | None = None
    token_state: TokenState | None = None
    hint: str = ""


def faulty_reply(reply: Reply, fault: Fault, paths: Mapping[str, str]) -> Reply:
    """Return the reply as the fault changes it; `apply_fault` explains ``paths``.

    The fault's latency has moved the broker's clock before, and is not part of the reply.
    """
    return replace(
        reply,
        response=apply_fault(reply.response, fault, paths),
        manner=fault.manner,
        coding=fault.coding,
        delay_seconds=fault.delay_seconds,
        spread_seconds=fault.spread_seconds,
    )


def exchange_of(
    arrival: Arrival,
    outcome: Outcome,
    reply: Reply,
    number: int,
    *,
    answered_at: float,
    use: int | None,
) -> Exchange:
    """Return what the journal records; ``answered_at`` is in Unix seconds by the broker's clock.

    ``number`` is the exchange's number in the journal. ``use`` is the client's use in which the
    request arrived, None outside a contract run.
    """
    return Exchange(
        number=number,
        endpoint=arrival.endpoint,
        origin=arrival.origin,
        received_at=arrival.received_at,
        answered_at=answered_at,
        request=arrival.request,
        # A journal says what the client got. A reset or cut answer is none that it could use.
        response=reply.response if reply.arrives else None,
        # Judges of a single request do not know its number: the journal gives it under its lock.
        breaches=tuple(replace(b, exchanges=(number,)) for b in outcome.breaches),
        credentials=outcome.credentials,
        token=outcome.token,
        token_state=outcome.token_state,
        # The description only: a fault may hold bodies and header values with secrets.
        fault=arrival.fault.describe() if arrival.fault else None,
        use=use,
        hint=outcome.hint,
    )
