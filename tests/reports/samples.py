"""Steps and exchanges that reports are tested with."""

from __future__ import annotations

import json

from mockbroker.model.exchange import Endpoint
from mockbroker.model.exchange_record import BreachRecord, ExchangeRecord
from mockbroker.report.document import document_of, json_text
from mockbroker.report.steps import (
    BrokerStarted,
    ClientUsed,
    GotToken,
    IssuedToken,
    Raised,
    TimePassed,
)

STEPS = (
    BrokerStarted(expires_in=60),
    ClientUsed(
        operation="get_token",
        outcome=GotToken(token=1, state="valid", is_fetched=True),
        exchanges=(1,),
        issued=(IssuedToken(token=1, expires_in=60),),
    ),
    TimePassed(seconds=61),
    ClientUsed(
        operation="request",
        method="GET",
        target="/v2/vehicle/1?region=uk",
        outcome=GotToken(token=1, state="expired"),
        status=401,
        exchanges=(2,),
    ),
)
EXCHANGES = (
    ExchangeRecord(
        number=1,
        at_seconds=0.0,
        endpoint=Endpoint.TOKEN,
        method="POST",
        target="/auth-broker/request-token",
        scheme="Basic",
        status=200,
        token=1,
        expires_in=60,
        breaches=(BreachRecord("request.accept", "rules out JSON"),),
    ),
    ExchangeRecord(
        number=2,
        at_seconds=61.0,
        endpoint=Endpoint.API,
        method="GET",
        target="/v2/vehicle/1?region=uk",
        scheme="Bearer",
        status=401,
        token=1,
        token_state="expired",
    ),
)


def raised(error: str) -> ClientUsed:
    return ClientUsed(operation="get_token", outcome=Raised(error=error))


def as_json(report):
    return json.loads(json_text(document_of(report)))
