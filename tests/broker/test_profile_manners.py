"""What a broker does by the rarer fields of a profile, over both stores."""

from __future__ import annotations

import base64
import datetime
import json
import shlex
from itertools import pairwise

import pytest

from mockbroker import Answer, ConfigError, Credentials, ParameterNames, Profile, Quota, Source
from mockbroker.broker.client_setup import setup_of
from mockbroker.broker.profiles import profile_named
from mockbroker.cli.profile_words import facts_of
from mockbroker.model.messages import Headers, Request
from tests.broker.dialects import send
from tests.broker.stores import BOTH

STORES = BOTH

PAIR = Credentials("shop", "s3cr:et")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRANT = b"grant_type=client_credentials"


def basic(scheme="Basic"):
    return f"{scheme} {base64.b64encode(b'shop:s3cr:et').decode()}"


def answer_of(broker, fields, body=GRANT, content_type=FORM):
    request = Request(
        "POST", broker.profile.own_token_path, Headers.of({**content_type, **fields}.items()), body
    )
    response = send(broker, request)
    return response.status, json.loads(response.body)


def call_of(broker, *fields):
    path = f"{broker.profile.api_prefix}/vehicle/1"
    response = send(broker, Request("GET", path, Headers(fields), b""))
    return response.status, json.loads(response.body)


def test_a_quota_refuses_until_its_period_is_over(new_broker):
    quota = Quota(requests=2, period_seconds=60)
    broker = new_broker(profile=Profile(name="own", quotas=(quota,)), credentials=PAIR)
    statuses = [answer_of(broker, {"Authorization": basic()})[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    broker.clock.advance(61)
    statuses = [answer_of(broker, {"Authorization": basic()})[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_client_with_a_valid_token_is_refused_until_its_time_of_renewal(new_broker):
    profile = Profile(name="own", token_policy="refuse", expires_in=100, renewal_seconds=20)
    broker = new_broker(profile=profile, credentials=PAIR)
    assert answer_of(broker, {"Authorization": basic()})[0] == 200
    broker.clock.advance(79)
    status, answer = answer_of(broker, {"Authorization": basic()})
    assert status == 400
    assert "valid for another 21 seconds" in answer["error_description"]
    broker.clock.advance(1)
    assert answer_of(broker, {"Authorization": basic()})[0] == 200


def test_an_old_token_lives_on_for_the_overlap(new_broker):
    profile = Profile(name="own", token_policy="single", overlap_seconds=30)
    broker = new_broker(profile=profile, credentials=PAIR)
    old = answer_of(broker, {"Authorization": basic()})[1]["access_token"]
    answer_of(broker, {"Authorization": basic()})
    assert call_of(broker, ("Authorization", f"Bearer {old}"))[0] == 200
    broker.clock.advance(31)
    assert call_of(broker, ("Authorization", f"Bearer {old}"))[0] == 401


def test_the_same_token_may_repeat_its_first_lifetime(new_broker):
    profile = Profile(name="own", token_policy="same", repeats_expires_in=True)
    broker = new_broker(profile=profile, credentials=PAIR)
    first = answer_of(broker, {"Authorization": basic()})[1]
    broker.clock.advance(100)
    assert answer_of(broker, {"Authorization": basic()})[1] == first


def test_a_scheme_of_its_own_takes_the_place_of_basic(new_broker):
    broker = new_broker(profile=Profile(name="own", basic_scheme="Shop"), credentials=PAIR)
    assert answer_of(broker, {"Authorization": basic("Shop")})[0] == 200
    status, answer = answer_of(broker, {"Authorization": basic()})
    assert status >= 400
    assert "the scheme Shop in place of Basic" in answer["hint"]
    assert answer_of(broker, {"Authorization": "Digest x"})[0] >= 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"&client_id=shop&client_secret=x", "send client_id alone"),
        (b"", "no client_id was sent"),
        (b"&client_id=other", "no client with that client_id is registered"),
        (b"&client_id=shop&client_id=shop", "client_id is in the body 2 times"),
    ],
)
def test_a_public_client_sends_its_id_alone(new_broker, body, words):
    profile = Profile(name="own", client_authentication="none")
    broker = new_broker(profile=profile, credentials=Credentials("shop", ""))
    assert answer_of(broker, {}, GRANT + b"&client_id=shop")[0] == 200
    status, answer = answer_of(broker, {}, GRANT + body)
    assert status >= 400
    assert words in answer["hint"]


NAMES = ParameterNames(client_id="key", client_secret="pass", grant_type="type", scope="area")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"type=client_credentials&client_id=shop&client_secret=s3cr:et", "named client_id"),
        (b"grant_type=client_credentials&key=shop&pass=s3cr:et", "named grant_type"),
        (b"type=client_credentials&pass=s3cr:et", "has pass but no key"),
        (b"{}", "the body is JSON although the header says form"),
    ],
)
def test_a_parameter_by_the_name_of_the_rfc_is_named(new_broker, body, words):
    profile = Profile(name="own", client_authentication="post", parameter_names=NAMES)
    broker = new_broker(profile=profile, credentials=PAIR)
    assert answer_of(broker, {}, b"type=client_credentials&key=shop&pass=s3cr:et")[0] == 200
    status, answer = answer_of(broker, {}, body)
    assert status >= 400
    assert words in answer["hint"]


JSON_BODY = json.dumps(
    {"client_id": "shop", "client_secret": "s3cr:et", "grant_type": "client_credentials"}
).encode()


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/plain", JSON_BODY, "Content-Type is 'text/plain' although the body is JSON"),
        ("te\x01xt", JSON_BODY, "Content-Type is something else although the body is JSON"),
        ("application/json", b"", "the body is empty"),
        ("application/json", GRANT, "JSON"),
    ],
)
def test_a_json_body_of_another_form_is_named(new_broker, content_type, body, words):
    profile = Profile(name="own", client_authentication="post", body="json")
    broker = new_broker(profile=profile, credentials=PAIR)
    right = {"Content-Type": "application/json"}
    assert answer_of(broker, {}, JSON_BODY, right)[0] == 200
    status, answer = answer_of(broker, {}, body, {"Content-Type": content_type})
    assert status >= 400
    assert words in answer["hint"]


def test_required_header_fields_are_demanded(new_broker):
    profile = Profile(
        name="own",
        required_headers={"X-Version": "2", "X-Any": "*"},
        api_required_headers={"X-Shop": "*"},
    )
    broker = new_broker(profile=profile, credentials=PAIR)
    right = {"Authorization": basic(), "X-Version": "2", "X-Any": "x"}
    status, answer = answer_of(broker, right)
    assert status == 200
    lacking = answer_of(broker, {"Authorization": basic(), "X-Version": "1"})
    assert lacking[0] == 400
    assert "X-Any" in lacking[1]["hint"]
    bearer = ("Authorization", f"Bearer {answer['access_token']}")
    assert call_of(broker, bearer, ("X-Shop", "x"))[0] == 200
    assert call_of(broker, bearer)[0] == 400


def test_a_token_in_a_header_field_of_its_own_comes_once(new_broker):
    profile = Profile(name="own", api_header="X-Token", api_scheme="")
    broker = new_broker(profile=profile, credentials=PAIR)
    token = answer_of(broker, {"Authorization": basic()})[1]["access_token"]
    assert call_of(broker, ("X-Token", token))[0] == 200
    status, answer = call_of(broker, ("X-Token", token), ("X-Token", token))
    assert status == 401
    assert "more than one X-Token" in answer["hint"]
    assert call_of(broker, ("X-Token", f"Bearer {token}"))[0] == 401
    status, answer = call_of(broker, ("X-Token", f'"{token}"'))
    assert status == 401
    assert "quotes" in answer["hint"]
    status, answer = call_of(broker, ("X-Token", "other"))
    assert (status, answer["message"]) == (401, "this broker never issued that token")


def test_the_curl_command_has_what_the_profile_requires(new_broker):
    profile = Profile(
        name="own", basic_scheme="Shop", required_headers={"X-Version": "2", "X-Any": "*"}
    )
    broker = new_broker(profile=profile, credentials=PAIR)
    broker.mounted_at("http://broker", "")
    command = shlex.split(setup_of(broker).curl)
    fields = [value for option, value in pairwise(command) if option == "-H"]
    assert fields == [f"Authorization: {basic('Shop')}", "X-Version: 2", "X-Any: VALUE"]


def test_a_scope_may_be_a_list(new_broker):
    answer = Answer(scope_list=True)
    profile = Profile(name="own", scope="read write", answer=answer)
    broker = new_broker(profile=profile, credentials=PAIR)
    assert answer_of(broker, {"Authorization": basic()})[1]["scope"] == ["read", "write"]


@pytest.mark.parametrize("name", ["auth0", "entra", "shopify", "smart-backend-services"])
def test_a_profile_that_ships_is_said_in_sentences(name):
    facts = facts_of(profile_named(name))
    assert all(fact.text.endswith(".") or "{" in fact.text for fact in facts)


def test_a_page_needs_an_address_or_a_title():
    with pytest.raises(ValueError, match="url is missing"):
        Source(fields=("scope",), checked=datetime.date(2026, 1, 1))


def test_an_unknown_profile_of_a_project_is_named_with_its_place(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.mockbroker]\nprofile = "entr"\n')
    with pytest.raises(ConfigError, match=r"tool\.mockbroker\.profile: unknown profile 'entr'"):
        profile_named("", directory=tmp_path)
