"""Requests in the forms of unusual providers: right ones are accepted, wrong ones explained."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from mockbroker import Broker, Credentials, ErrorForm, Profile
from mockbroker.contract.request_hints import hint_on_path
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import ParameterNames
from tests.broker.dialects import PAIR, send


def basic(user, secret):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


BARE_HEADER = Profile(name="bare", client_authentication="header", grant_type=False)
BARE_BASIC = Profile(name="bare", grant_type=False)
BARE_JSON = Profile(name="bare", grant_type=False, body="json")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
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


NAMED = ParameterNames(client_id="app_id", client_secret="app_secret")
JSON_ALONE = Profile(
    name="named",
    client_authentication="post",
    grant_type=False,
    body="json",
    parameter_names=NAMED,
)
FORM_ALONE = Profile(
    name="named", client_authentication="post", grant_type=False, parameter_names=NAMED
)


def hint_on(profile, body=b"", media_type=FORM, fields=(), query=""):
    """Return the hints in a refusal."""
    own = [("Content-Type", media_type), *fields]
    request = Request(
        profile.method, f"{profile.token_path}?{query}".rstrip("?"), Headers.of(own), body
    )
    refused = send(Broker(profile=profile, credentials=Credentials("shop", "s3cret")), request)
    return json.loads(refused.body).get("hint")


@pytest.mark.parametrize(
    ("profile", "body", "media_type", "hint"),
    [
        (FORM_ALONE, b'{"app_id": "x"}', FORM, "the header says form: send app_id=VALUE"),
        (BARE_BASIC, b"{}", JSON, "no parameters; send the token request without a body"),
        (BARE_JSON, b"[1]", FORM, "no parameters; send the token request without a body"),
        (JSON_ALONE, b'{"app_id": "x"', JSON, "the body begins as JSON and cannot be parsed"),
        (JSON_ALONE, b'["x"]', JSON, "the body is a JSON list although"),
        (JSON_ALONE, b"app_id=x", FORM, 'takes JSON: send {"app_id": "VALUE"} and the rest'),
        (JSON_ALONE, b"", JSON, "no credentials were sent; send app_id and app_secret"),
    ],
)
def test_a_hint_on_the_form_of_the_body_says_what_to_send(profile, body, media_type, hint):
    right = [("Authorization", basic("shop", "s3cret"))]
    is_basic = profile.client_authentication == "basic"
    assert hint in hint_on(profile, body, media_type, right if is_basic else ())


def encoded(text, times):
    for _ in range(times):
        text = base64.b64encode(text.encode()).decode()
    return text


@pytest.mark.parametrize(
    ("id_times", "secret_times", "hint"),
    [
        (0, 0, "id and secret are joined as they are"),
        (0, 1, "the id is not encoded to Base64, only the secret"),
        (1, 0, "the secret is not encoded to Base64, only the id"),
        (2, 2, "id and secret are encoded to Base64 twice"),
        (2, 1, "the id is encoded to Base64 twice"),
        (1, 2, "the secret is encoded to Base64 twice"),
    ],
)
def test_a_hint_says_which_part_is_encoded_how_often(id_times, secret_times, hint):
    profile = Profile(name="each", basic_encoding="base64")
    header = basic(encoded("shop", id_times), encoded("s3cret", secret_times))
    assert hint_on(
        profile, b"grant_type=client_credentials", fields=[("Authorization", header)]
    ).startswith(hint)


STRICT = Profile(
    name="strict",
    token_query="version=2",
    grant_type=False,
    parameters={"audience": "tracking"},
    open_parameters={"resource": "https://api.example"},
    required_headers={"X-Api-Version": "2024-01"},
    errors={"token_error": ErrorForm(status=400, body='{"code": 7}')},
)
BODY = b"audience=tracking&resource=x"
VERSION = ("X-Api-Version", "2024-01")


@pytest.mark.parametrize(
    ("body", "query", "version", "hint"),
    [
        (
            b"audience=tracing&resource=x",
            "version=2",
            VERSION,
            "the value of audience is 'tracing'; profile strict requires audience=tracking",
        ),
        (BODY + b"&resource=y", "version=2", VERSION, "resource is in the body 2 times; send it"),
        (BODY, "version=3", VERSION, "version is '3' in the URL; the token URL has the query ?ver"),
        (BODY, "", VERSION, "version is missing in the URL; the token URL has the query ?version"),
        (
            BODY,
            "version=2",
            ("X-Api-Version", "2023"),
            "the header field X-Api-Version is '2023'; profile strict requires X-Api-Version: 2024",
        ),
    ],
)
def test_a_hint_names_a_required_value_that_differs(body, query, version, hint):
    right = [("Authorization", basic("shop", "s3cret")), version]
    assert hint_on(STRICT, body, FORM, right, query).startswith(hint)


def test_a_refusal_without_a_hint_has_its_reason_where_the_provider_shows_none():
    right = [("Authorization", basic("shop", "s3cret")), VERSION]
    profile = replace(STRICT, grant_type="client_credentials")
    sent = BODY + b"&grant_type=refresh_token"
    said = hint_on(profile, sent, FORM, right, "version=2")
    assert said == "this broker supports the grant client_credentials only"


FIELDS_ALONE = replace(FORM_ALONE, client_authentication="header")
SECRET = b'"app_secret": "s3cret"'


@pytest.mark.parametrize(
    ("profile", "body", "fields", "hint"),
    [
        (JSON_ALONE, b'{"appId": "shop", "appSecret": "s3cret"}', (), "named 'appId'; its name is"),
        (
            JSON_ALONE,
            b'{"appid": "shop", ' + SECRET + b"}",
            (),
            "is named 'appid'; its name is app",
        ),
        (FORM_ALONE, b"appid=shop&appsecret=s3cret", (), "is named 'appid'; its name is app_id"),
        (
            FIELDS_ALONE,
            b"",
            [("App-Id", "shop")],
            "header field is named 'App-Id'; its name is app",
        ),
        (
            JSON_ALONE,
            b'{"app_id": "shop", "app_id": "shop", ' + SECRET + b"}",
            (),
            "app_id is in the body 2 times; send it once",
        ),
        (
            JSON_ALONE,
            b'{"app_id": "shop", "scope": ["read"], ' + SECRET + b"}",
            (),
            "scope is a JSON list; send one string, its values joined by a space",
        ),
        (
            FIELDS_ALONE,
            b"",
            [("APP_ID", "shop"), ("appsecret", "s3cret")],
            "header field is named 'appsecret'; its name is app_secret",
        ),
        (
            FIELDS_ALONE,
            b"",
            [("app_id", "shop"), ("app_id", "shop"), ("app_secret", "s3cret")],
            "app_id is in the header 2 times; send it once",
        ),
    ],
)
def test_a_hint_names_a_near_miss_and_a_repeated_member(profile, body, fields, hint):
    media_type = JSON if profile.body == "json" else FORM
    assert hint in hint_on(profile, body, media_type, fields)


@pytest.mark.parametrize(
    ("client_id", "secret", "hint"),
    [
        ("shop", "other", "the app_id 'shop' is registered, but with another secret"),
        ("other", "x", "no client with that app_id is registered"),
        ("shopp", "x", "the app_id is 'shopp', which is not registered; did you mean 'shop'?"),
        ("s3cret", "shop", "app_id comes first, app_secret second"),
        ("shop", "shop", "the app_id was sent in place of the secret; send app_id:app_secret"),
        ("", "", "the app_id and the secret are empty"),
        ("undefined", "s3cret", "the app_id is the word 'undefined'"),
    ],
)
def test_hints_on_credentials_have_the_names_of_the_provider(client_id, secret, hint):
    assert hint in hint_on(FORM_ALONE, f"app_id={client_id}&app_secret={secret}".encode())


QUERY_ALONE = replace(FORM_ALONE, body="query", client_authentication="query")
RIGHT_QUERY = "app_id=shop&app_secret=s3cret"


@pytest.mark.parametrize(
    ("profile", "query", "body"),
    [(BARE_BASIC, "", b""), (QUERY_ALONE, RIGHT_QUERY, b"more")],
)
def test_a_missing_header_field_is_named_without_a_word_on_the_body(profile, query, body):
    strict = replace(profile, required_headers={"X-Version": "2"})
    right = [("Authorization", basic("shop", "s3cret"))] if profile is BARE_BASIC else []
    hint = hint_on(strict, body, "text/plain", right, query)
    wanted = "requires the header field X-Version: 2 in token requests"
    assert hint == f"profile {profile.name} {wanted}"


def test_a_hint_says_that_the_slash_at_the_end_is_missing():
    assert hint_on_path("/token", "/token/") == "the slash at the end of the path is missing"
