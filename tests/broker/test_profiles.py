"""Profiles from TOML files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from mockbroker import Broker, ConfigError, ErrorForm, Profile
from mockbroker.broker.profiles import load_profiles, profile_named


def test_a_profile_takes_what_is_left_out_from_autograb(tmp_path):
    file = tmp_path / "brokers.toml"
    file.write_text('[profiles.acme]\ntoken_path = "/t"\nscope = false\nexpires_in = 60\n')
    acme = profile_named("acme", config=file)
    assert (acme.token_path, acme.scope, acme.expires_in, acme.api_prefix) == (
        "/t",
        False,
        60,
        "/v2",
    )


def test_the_nearest_pyproject_is_looked_at(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.mockbroker.profiles.acme]\nexpires_in = 7\n")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert Broker(profile="acme").expires_in == 7


def test_a_pyproject_without_our_table_has_no_profiles(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert load_profiles(tmp_path / "pyproject.toml") == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", "unknown profile 'nope'; known are autograb, rfc6749"),
        ("rfc-6749", "unknown profile 'rfc-6749'; did you mean 'rfc6749'?"),
        (
            "acme.toml",
            (
                "unknown profile 'acme.toml'; pass a file with --config (--contract-config in "
                "pytest), and the name of one of its profiles with --profile"
            ),
        ),
    ],
)
def test_an_unknown_profile_is_an_error_with_the_nearest_name(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        Broker(profile=name)
    assert str(caught.value) == message


PATH = "expected a path that begins with a slash"
PREFIX = f"{PATH} and does not end with one"
SECONDS = "expected a finite number of seconds, 0 or more"
BAD_FILES = {
    "profiles = 1": "bad.toml: profiles: expected a table, got 1",
    "profiles.a = 1": "bad.toml: profiles.a: expected a table, got 1",
    "[[profiles.a]]": "bad.toml: profiles.a: expected a table, got a list",
    "[profile.a]": "bad.toml: unknown table 'profile'; did you mean 'profiles'?",
    "profile = 1": "bad.toml: unknown key 'profile'; did you mean 'profiles'?",
    "[tool.mockbroker.profiles.a]": "bad.toml: unknown table 'tool'; known are profiles",
    "[profiles.autograb]": "bad.toml: profile 'autograb' is built in; choose another name",
    "[profiles.a]\ntoken_pth = '/t'": (
        "bad.toml: profiles.a: unknown key 'token_pth'; did you mean 'token_path'?"
    ),
    "[profiles.a]\nname = 'b'": (
        "bad.toml: profiles.a: unknown key 'name'; known are token_path, token_path_aliases, "
        "token_query, client_authentication, basic_encoding, expires_in, scope, scope_separator, "
        "token_type, token_format, token_policy, api_prefix, parameters, error_forms, ass…"
    ),
    "[profiles.a.parameters]\naudience = 1": (
        "bad.toml: profiles.a.parameters.audience: expected a string that is not empty, got 1"
    ),
    "[profiles.a.parameters]\nscope = 'a'": (
        "bad.toml: profiles.a: parameters: 'scope' is not a further parameter; remove it"
    ),
    "[profiles.a.error_forms]": (
        "bad.toml: profiles.a.error_forms: expected a list, got a table; "
        "write [[profiles.a.error_forms]], not [profiles.a.error_forms]"
    ),
    "[[profiles.a.error_forms]]\nstatus = 700\nbody = 'x'": (
        "bad.toml: profiles.a.error_forms[0].status: expected a status from 200 to 599, got 700"
    ),
    "[[profiles.a.error_forms]]\nstatus = 200": (
        "bad.toml: profiles.a.error_forms[0]: body is missing"
    ),
    "[profiles.a.scope]": "bad.toml: profiles.a.scope: expected a string or false, got a table",
    "[profiles.a]\ntoken_path = 't'": f"bad.toml: profiles.a.token_path: {PATH}, got 't'",
    "[profiles.a]\napi_prefix = '/t/'": f"bad.toml: profiles.a.api_prefix: {PREFIX}, got '/t/'",
    "[profiles.a]\ntoken_query = '?a=1'": (
        "bad.toml: profiles.a.token_query: expected a query without its question mark, got '?a=1'"
    ),
    "[profiles.a]\napi_prefix = 3": f"bad.toml: profiles.a.api_prefix: {PREFIX}, got 3",
    "[profiles.a]\nexpires_in = true": f"bad.toml: profiles.a.expires_in: {SECONDS}, got true",
    "[profiles.a]\nexpires_in = inf": f"bad.toml: profiles.a.expires_in: {SECONDS}, got inf",
    "[profiles.a]\nexpires_in = nan": f"bad.toml: profiles.a.expires_in: {SECONDS}, got nan",
    "[profiles.a]\nexpires_in = -1": f"bad.toml: profiles.a.expires_in: {SECONDS}, got -1",
    "[profiles.a]\nexpires_in = 2030-01-01": (
        f"bad.toml: profiles.a.expires_in: {SECONDS}, got a date"
    ),
    "[profiles.a]\nscope = true": (
        "bad.toml: profiles.a: scope: expected a string or false, got true"
    ),
    "[profiles.a]\nscope = 5": "bad.toml: profiles.a.scope: expected a string or false, got 5",
    "[profiles.a]\ntoken_type = 5": (
        "bad.toml: profiles.a.token_type: expected a string that is not empty, got 5"
    ),
    "[profiles.a]\ntoken_type = ''": (
        "bad.toml: profiles.a.token_type: expected a string that is not empty, got ''"
    ),
    "[profiles.a]\nclient_authentication = []": (
        "bad.toml: profiles.a.client_authentication: expected a string or a list that is not "
        "empty, got an empty list"
    ),
    "[profiles.a]\nclient_authentication = 'digest'": (
        "bad.toml: profiles.a.client_authentication: unknown method 'digest'; known are basic, "
        "post, private_key_jwt"
    ),
    "[profiles.a]\nbasic_encoding = 'percent'": (
        "bad.toml: profiles.a.basic_encoding: expected 'raw' or 'form', got 'percent'"
    ),
    "[profiles.a]\nclient_authentication = 'bsic'": (
        "bad.toml: profiles.a.client_authentication: unknown method 'bsic'; did you mean 'basic'?"
    ),
    "[profiles.a]\ntoken_format = 'JWT '": (
        "bad.toml: profiles.a.token_format: expected 'opaque' or 'jwt', got 'JWT '"
    ),
    "[profiles.a]\nbasic_encoding = 'forms'": (
        "bad.toml: profiles.a.basic_encoding: expected 'raw' or 'form', got 'forms'; "
        "did you mean 'form'?"
    ),
    "[profiles.b]\n[profiles.a]\nx = 1": (
        "bad.toml: profiles.a: unknown key 'x'; known are token_path, token_path_aliases, "
        "token_query, client_authentication, basic_encoding, expires_in, scope, scope_separator, "
        "token_type, token_format, token_policy, api_prefix, parameters, error_forms, ass…"
    ),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_an_error_that_says_where_and_what_was_expected(tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profiles(file)
    assert str(caught.value) == f"{tmp_path}/{BAD_FILES[text]}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.mockbroker.profile.a]", "tool.mockbroker: unknown table 'profile'; did you mean"),
        ("[tool.mockbroker.profiles.a]\ntoken_type = 5", "tool.mockbroker.profiles.a.token_type: "),
        ("[tool]\nmockbroker = 1", "tool.mockbroker: expected a table, got 1"),
    ],
)
def test_a_bad_pyproject_is_an_error_that_says_where(tmp_path, text, message):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profiles(tmp_path / "pyproject.toml")
    assert str(caught.value).startswith(f"{tmp_path}/pyproject.toml: {message}")


@pytest.mark.parametrize("content", [b"[profiles", b"a = '\xff'", b"a = 1" + b"0" * 5000])
def test_a_file_that_is_not_toml_is_an_error(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml is not a valid TOML file: "):
        load_profiles(tmp_path / "bad.toml")


def test_the_answer_has_the_token_type_of_the_profile(tmp_path):
    file = tmp_path / "brokers.toml"
    file.write_text('[profiles.acme]\ntoken_type = "DPoP"\n')
    with Broker(profile=profile_named("acme", config=file)).running() as broker:
        pair = (broker.credentials.client_id, broker.credentials.client_secret)
        data = {"grant_type": "client_credentials"}
        answer = requests.post(broker.token_url, data=data, auth=pair, timeout=5)
    assert answer.json()["token_type"] == "DPoP"


def test_a_profile_made_in_a_program_has_a_scope_or_false():
    assert Profile(name="acme", scope=False).issued_scope == ""
    with pytest.raises(ValueError, match="scope: expected a string or false, got true"):
        Profile(name="acme", scope=True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("client_authentication", (), "expected a string or a list that is not empty, got an"),
        ("client_authentication", ("post", 5), "expected a string, got 5"),
        ("token_path", "t", f"{PATH}, got 't'"),
        ("token_path", Path("/t"), f"{PATH}, got a value of type "),
        ("token_path_aliases", ("t",), f"{PATH}, got 't'"),
        ("api_prefix", "/v2/", f"{PREFIX}, got '/v2/'"),
        ("token_type", 5, "expected a string that is not empty, got 5"),
        ("token_format", "JWT", "expected 'opaque' or 'jwt', got 'JWT'"),
        ("expires_in", "x", f"{SECONDS}, got 'x'"),
        ("basic_encoding", "utf", "expected 'raw' or 'form', got 'utf'"),
    ],
)
def test_a_profile_made_in_a_program_has_the_rules_of_a_file(field, value, message):
    with pytest.raises(ValueError, match=rf"^{field}(\[\d\])?: {re.escape(message)}"):
        Profile(name="acme", **{field: value})


@pytest.mark.parametrize("methods", ["digest", ("basic", "digest")])
def test_a_broker_rejects_a_profile_with_an_unknown_method(methods):
    profile = Profile(name="acme", client_authentication=methods)
    with pytest.raises(ConfigError) as caught:
        Broker(profile=profile)
    message = (
        "profile acme: client_authentication: unknown method 'digest'; known are basic, post, "
        "private_key_jwt"
    )
    assert str(caught.value) == message


def test_a_profile_made_of_lists_is_a_value_as_any_other():
    profile = Profile(name="acme", client_authentication=["basic", "post"], token_path_aliases=[])
    assert profile.client_authentication == ("basic", "post")
    assert hash(profile) == hash(Profile(name="acme", client_authentication=("basic", "post")))


def test_a_broker_rejects_what_is_not_a_profile():
    with pytest.raises(TypeError, match="profile must be a Profile or the name of one, not 5"):
        Broker(profile=5)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_profiles(tmp_path / "none.toml")


def test_error_forms_of_a_provider_are_a_part_of_its_profile(tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text("[[profiles.acme.error_forms]]\nstatus = 200\nbody = '{\"errcode\": 1}'\n")
    form = ErrorForm(status=200, body='{"errcode": 1}')
    acme = profile_named("acme", config=file)
    assert acme.error_forms == (form,)
    assert acme == Profile(name="acme", error_forms=[form])
    with pytest.raises(ValueError, match="status: expected a status from 200 to 599, got 99"):
        ErrorForm(status=99, body="x")
