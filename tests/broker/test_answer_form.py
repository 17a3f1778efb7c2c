"""The lifetime of a token in the provider's form, whatever type a test has given it."""

from __future__ import annotations

import json
import re

import pytest

from mockbroker import Broker, Fault
from mockbroker.broker.answers import TokenAnswer
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import Answer, Profile
from tests.broker.dialects import send


def lifetime_of(form, value):
    broker = Broker(profile=Profile(name="own", answer=Answer(lifetime=form)), strict=False)
    broker.token_answer = TokenAnswer(members={"expires_in": value})
    request = Request("POST", broker.profile.own_token_path, Headers(()))
    return json.loads(send(broker, request).body)["expires_in"]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (60, 60000),
        (1.5, 1500),
        ("60", "60000"),
        ("soon", "soon"),
        ("inf", "inf"),
        (None, None),
        (True, True),
        ([60], [60]),
    ],
)
def test_a_lifetime_keeps_its_type(value, sent):
    assert lifetime_of("milliseconds", value) == sent


@pytest.mark.parametrize(("form", "kind"), [("unix", int), ("unix-milliseconds", int)])
def test_a_moment_keeps_the_type_of_the_lifetime(form, kind):
    assert isinstance(lifetime_of(form, 60), kind)
    assert lifetime_of(form, "60").isdigit()


def test_a_fault_changes_members_where_the_provider_has_them():
    paths = {"access_token": "data.token", "expires_in": "data.ttl"}
    broker = Broker(profile=Profile(name="own", answer=Answer(paths=paths)), strict=False)
    request = Request("POST", broker.profile.own_token_path, Headers(()))
    broker.script(
        Fault.members(omit=["access_token", "expires_in"], other=1),
        Fault.members(access_token=None),
        Fault.status(200, body={"data": 1}) & Fault.members(omit=["access_token"]),
        Fault.status(200, body={}) & Fault.members(omit=["access_token"], expires_in=5),
    )
    bodies = [json.loads(send(broker, request).body) for _ in range(4)]
    assert bodies[0] == {"data": {}, "scope": "", "token_type": "bearer", "other": 1}
    assert bodies[1]["data"]["token"] is None
    assert bodies[2:] == [{"data": 1}, {"data": {"ttl": 5}}]


def test_a_fault_changes_members_within_a_list():
    paths = {"access_token": "tokens.0.value", "expires_in": "tokens.0.ttl"}
    broker = Broker(profile=Profile(name="own", answer=Answer(paths=paths)), strict=False)
    request = Request("POST", broker.profile.own_token_path, Headers(()))
    broker.script(
        Fault.members(omit=["access_token"], expires_in=5),
        Fault.status(200, body={"tokens": []}) & Fault.members(omit=["access_token"], expires_in=5),
        Fault.status(200, body={"tokens": [7]}) & Fault.members(expires_in=5),
    )
    bodies = [json.loads(send(broker, request).body)["tokens"] for _ in range(3)]
    assert bodies == [[{"ttl": 5}], [], [7]]


def test_a_token_has_the_shape_of_the_provider():
    broker = Broker(profile=Profile(name="own", token_shape="own_{24}.{4}"), strict=False)
    request = Request("POST", broker.profile.own_token_path, Headers(()))
    tokens = {json.loads(send(broker, request).body)["access_token"] for _ in range(2)}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"own_[A-Za-z0-9_-]{24}\.[A-Za-z0-9_-]{4}", token) for token in tokens)
