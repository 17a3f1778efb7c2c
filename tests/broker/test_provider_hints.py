"""Requests in the forms of unusual providers: right ones are accepted, wrong ones explained."""

from __future__ import annotations

import base64

import pytest

from mockbroker import Broker, Profile
from mockbroker.model.messages import Headers, Request
from tests.broker.dialects import PAIR, send


def basic(user, secret):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


BARE_HEADER = Profile(name="bare", client_authentication="header", grant_type=False)
BARE_BASIC = Profile(name="bare", grant_type=False)
BARE_JSON = Profile(name="bare", grant_type=False, body="json")
RIGHT_BASIC = {"Authorization": basic(PAIR.client_id, PAIR.client_secret)}
RIGHT_FIELDS = {"client_id": PAIR.client_id, "client_secret": PAIR.client_secret}


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json"])
@pytest.mark.parametrize(
    "profile", [BARE_HEADER, BARE_BASIC, BARE_JSON], ids=["header", "basic", "json"]
)
def test_a_request_without_parameters_needs_neither_a_body_nor_a_media_type(profile, media_type):
    own = [*(RIGHT_FIELDS if profile is BARE_HEADER else RIGHT_BASIC).items()]
    type_field = [("Content-Type", media_type)] if media_type else []
    broker = Broker(profile=profile, credentials=PAIR)
    request = Request("POST", profile.token_path, Headers.of([*own, *type_field]))
    assert send(broker, request).status == 200
    assert not broker.journal[0].breaches


def test_a_body_that_no_request_needs_has_a_media_type_all_the_same():
    broker = Broker(profile=BARE_BASIC, credentials=PAIR)
    request = Request("POST", BARE_BASIC.token_path, Headers.of([*RIGHT_BASIC.items()]), b"{}")
    refused = send(broker, request)
    assert refused.status == 400
    assert [breach.clause_id for breach in broker.journal[0].breaches] == ["request.content-type"]
