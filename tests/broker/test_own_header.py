"""An API whose calls carry their token in a header field of the provider's own."""

from __future__ import annotations

import json

import pytest

from mockbroker import Broker
from mockbroker.contract.judging import breaches_alone
from mockbroker.model.exchange_record import record_of
from mockbroker.model.exchange_text import exchange_text
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import Profile
from tests.broker.dialects import send

OWN = Profile(name="own", api_header="X-Token", api_scheme="")


@pytest.fixture
def broker():
    broker = Broker(profile=OWN, strict=False)
    send(broker, Request("POST", OWN.own_token_path, Headers(())))
    return broker


def call(broker, *fields, target="/v2/things"):
    """The exchange of a call with these fields; "TOKEN" in them stands for the token."""
    token = broker.token_requests[0].token.value
    filled = [(name, value.replace("TOKEN", token)) for name, value in fields]
    send(broker, Request("GET", target.replace("TOKEN", token), Headers(filled)))
    return broker.api_calls[-1]


def test_a_call_with_the_token_in_that_field_is_signed(broker):
    exchange = call(broker, ("X-Token", "TOKEN"))
    assert not exchange.is_unsigned
    assert breaches_alone(exchange) == ()
    assert "<token #1, valid>" in exchange_text(record_of(exchange))


@pytest.mark.parametrize(
    ("fields", "target"),
    [((), "/v2/things"), ((), "/v2/things?access_token=TOKEN"), ((("X-Other", "a"),), "/v2/a")],
)
def test_a_call_without_that_field_is_unsigned(broker, fields, target):
    exchange = call(broker, *fields, target=target)
    assert exchange.is_unsigned
    assert "(no Authorization)" in exchange_text(record_of(exchange))


@pytest.mark.parametrize("field", [("X-Token", "Bearer TOKEN"), ("Authorization", "Bearer TOKEN")])
def test_a_token_in_another_form_breaks_the_clause_on_the_header(broker, field):
    exchange = call(broker, field)
    assert [breach.clause_id for breach in breaches_alone(exchange)] == ["signing.bearer"]


def test_an_unknown_token_in_that_field_is_no_challenge(broker):
    assert not call(broker, ("X-Token", "abc")).is_unsigned


def test_the_refusal_of_a_call_without_a_token_names_the_field(broker):
    call(broker)
    said = json.loads(broker.api_calls[-1].response.body)
    assert said["message"] == "no token in the X-Token header"
