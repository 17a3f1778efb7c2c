"""One request on its way through the broker: the arrival, the outcome, the exchange recorded."""

from __future__ import annotations

import threading
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
    """A request, and what the broker was set to when the request arrived."""

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
    """The answer of an endpoint, and what it found, before a fault changes the answer."""

    response: Response
    breaches: tuple[Breach, ...] = ()
    credentials: Credentials | None = None
    token: AccessToken | None = None
    token_state: TokenState | None = None


def faulty_reply(reply: Reply, fault: Fault) -> Reply:
    """Return the reply as the fault changes it."""
    return replace(
        reply,
        response=apply_fault(reply.response, fault),
        manner=fault.manner,
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
    """Return what the journal records; ``answered_at`` is in Unix seconds by the broker's clock."""
    return Exchange(
        number=number,
        endpoint=arrival.endpoint,
        origin=arrival.origin,
        received_at=arrival.received_at,
        answered_at=answered_at,
        request=arrival.request,
        response=reply.response if reply.arrives else None,
        breaches=tuple(replace(b, exchanges=(number,)) for b in outcome.breaches),
        credentials=outcome.credentials,
        token=outcome.token,
        token_state=outcome.token_state,
        fault=arrival.fault.describe() if arrival.fault else None,
        use=use,
    )
