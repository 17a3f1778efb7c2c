"""A provider whose calls carry the token as a parameter of the URL."""

from __future__ import annotations

import json

import pytest

from mockbroker import Broker, Profile
from mockbroker.cli.explain import explain
from mockbroker.model.messages import Headers, Request
from tests.broker.dialects import PAIR, send
from tests.broker.profile_clients import TokenClient

PROFILE = Profile(name="acme", token_path="/token", api_query="access_token")
BEARER = "Bearer {}"


@pytest.fixture
def broker():
    return Broker(profile=PROFILE, credentials=PAIR)


def token_of(broker):
    response = send(broker, TokenClient(PROFILE, "basic", "form").request())
    return json.loads(response.body)["access_token"]


def call(broker, target, **fields):
    return send(broker, Request("GET", f"/v2{target}", Headers.of(fields.items())))


def test_a_call_with_the_token_in_its_url_is_right(broker):
    token = token_of(broker)
    assert call(broker, f"/things?a=1&access_token={token}").status == 200
    assert call(broker, f"/things?access_token={token}&b=2", Accept="*/*").status == 200
    assert not [breach for exchange in broker.journal for breach in exchange.breaches]
    assert broker.api_calls[0].token.value == token


@pytest.mark.parametrize(
    ("target", "field", "words"),
    [
        ("/x", "", "no bearer token"),
        ("/x", "Bearer {}", "the call has no access_token parameter, expected one parameter"),
        ("/x?access_token={}&access_token={}", "", "the call has 2 access_token parameters"),
        ("/x?access_token=Bearer+{}", "", "the word 'Bearer' stands before the token"),
        ("/x?access_token=unknown", "", "this broker never issued that token"),
    ],
)
def test_another_place_or_form_is_named(broker, target, field, words):
    token = token_of(broker)
    fields = {"Authorization": field.format(token)} if field else {}
    answer = call(broker, target.replace("{}", token), **fields)
    assert answer.status == 401
    assert words in json.loads(answer.body)["message"]


def test_an_explanation_knows_the_place_of_the_token():
    right = b"GET /v2/x?access_token=abcdef0123456789 HTTP/1.1\r\nHost: a\r\n\r\n"
    assert explain(right, PROFILE).is_right
    wrong = b"GET /v2/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abcdef0123456789\r\n\r\n"
    [breach] = explain(wrong, PROFILE).breaches
    assert breach.expected == "one parameter access_token with the token in the query of the URL"
