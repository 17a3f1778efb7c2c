"""Each provider of the table can be described, and its dialect is told from others."""

from __future__ import annotations

import json

import pytest

from mockbroker import Broker
from mockbroker.broker.profiles import load_profiles
from mockbroker.model.messages import Headers, Request
from tests.broker.dialects import ORIGIN, PAIR, dialects, send

# A signed assertion needs a key, so that this provider has tests of its own.
DIALECTS = {
    name: dialect
    for name, dialect in dialects().items()
    if dialect.authentication != "private_key_jwt"
}


@pytest.fixture
def broker_of(tmp_path):
    def made(dialect):
        file = tmp_path / "profiles.toml"
        file.write_text(dialect.profile())
        profile = load_profiles(file)[dialect.profile_name]
        return Broker(profile=profile, credentials=PAIR)

    return made


def test_the_table_is_whole():
    assert len(dialects()) == 76
    assert len(DIALECTS) == 75


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_client_of_the_dialect_gets_a_token_and_calls_the_api(broker_of, dialect):
    broker = broker_of(dialect)
    response = send(broker, dialect.request())
    assert response.status == 200, response.body
    members = json.loads(response.body)
    assert ("expires_in" in members) is ("no expires_in" not in dialect.also)
    if "milliseconds" in dialect.also:
        assert members["expires_in"] == 3599000
    if "instance_url" in dialect.also:
        assert members["instance_url"] == f"{ORIGIN}/v2"
    headers = Headers.of([("Authorization", f"Bearer {members['access_token']}")])
    assert send(broker, Request("GET", "/v2/things", headers)).status == 200
    assert not broker.journal[0].breaches


@pytest.mark.parametrize("mistake", ["body form", "authentication", "parameter"])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_client_with_one_mistake_is_refused_with_a_hint_on_it(broker_of, dialect, mistake):
    broker = broker_of(dialect)
    wrong, words = dialect.wrong()[mistake]
    response = send(broker, wrong.request())
    assert response.status >= 400
    said = json.loads(response.body)
    assert any(word in said["hint"] for word in words), said
