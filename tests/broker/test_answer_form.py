"""The lifetime of a token in the provider's form, whatever type a test has given it."""

from __future__ import annotations

import json

import pytest

from mockbroker import Broker
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
