"""Each profile that ships: its facts have sources, and a broker of it tells right from wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import mockbroker
from mockbroker import Broker
from mockbroker.broker.profiles import shipped_names, shipped_profile
from tests.broker.dialects import ORIGIN, PAIR, send
from tests.broker.profile_clients import TokenClient, api_call, token_in
from tests.broker.wrong_assertions import claims_for, form_of, request_with, signed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILES = sorted((Path(mockbroker.__file__).parent / "shipped_profiles").glob("*.toml"))
# A family of providers has no page of its own.
GENERIC = {"apigee", "json-body", "post"}
ABOUT = {"extends", "title", "sources", "unconfirmed"}
SECRETS = ("basic", "post", "query")
METHODS = [
    (name, method)
    for name in shipped_names()
    for method in shipped_profile(name).authentication_methods
    if method in SECRETS
]
IDS = ["-".join(pair) for pair in METHODS]
SIGNED = [
    name
    for name in shipped_names()
    if "private_key_jwt" in shipped_profile(name).authentication_methods
]


def test_the_pack_is_large():
    assert len(FILES) >= 30
    assert {"entra", "auth0", "okta", "cognito", "keycloak", "salesforce"} <= set(shipped_names())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_field_of_a_profile_has_a_source(file):
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    assert written["title"]
    named = [field for source in written.get("sources", ()) for field in source["fields"]]
    facts = {
        f"{key}.{member}" if isinstance(value, dict) else key
        for key, value in written.items()
        if key not in ABOUT
        for member in (value if isinstance(value, dict) else ("",))
    }
    if file.stem not in GENERIC:
        missing = {each for each in facts if not any(_covers(name, each) for name in named)}
        assert not missing
    # The other way round: a source that names a field which the file does not set is a slip,
    # unless the profile that it extends has the value already.
    assert all(shipped_profile(file.stem).sources_of(name.partition(".")[0]) for name in named)


def _covers(named: str, fact: str) -> bool:
    return fact == named or fact.startswith(f"{named}.") or named.startswith(f"{fact}.")


@pytest.mark.parametrize(("name", "method"), METHODS, ids=IDS)
def test_a_client_of_a_profile_gets_a_token_and_calls_the_api(name, method):
    profile = shipped_profile(name)
    broker = Broker(profile=profile, credentials=PAIR)
    response = send(broker, TokenClient(profile, method, profile.body).request())
    assert response.status == profile.answer.status, response.body
    call = send(broker, api_call(profile, token_in(profile, response.body)))
    assert call.status == 200, call.body
    assert not [breach for exchange in broker.journal for breach in exchange.breaches]


@pytest.mark.parametrize("mistake", ["body form", "authentication", "parameter"])
@pytest.mark.parametrize(("name", "method"), METHODS, ids=IDS)
def test_a_client_with_one_mistake_is_refused_with_a_hint_on_it(name, method, mistake):
    profile = shipped_profile(name)
    wrong, words = TokenClient(profile, method, profile.body).wrong()[mistake]
    response = send(Broker(profile=profile, credentials=PAIR), wrong.request())
    assert response.status >= 400
    said = json.loads(response.body)
    assert any(word in said["hint"] for word in words), said


@pytest.mark.parametrize("name", SIGNED)
def test_a_client_with_an_assertion_gets_a_token_and_another_audience_is_named(name):
    profile = shipped_profile(name)
    broker = Broker(profile=profile)
    broker.mounted_at(ORIGIN, "")
    algorithm = profile.assertion.algorithms[0]
    claims = claims_for(broker)
    for audience, words in ((broker.audience, ""), ("https://other.example", "aud is ")):
        assertion = signed({**claims, "aud": audience}, broker.credentials, algorithm)
        body = form_of(assertion, **profile.example_parameters)
        response = send(broker, request_with(broker, body))
        members = json.loads(response.body)
        assert ("access_token" in members) is not bool(words), members
        assert words in members.get("hint", "")
