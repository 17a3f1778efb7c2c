"""Profiles from TOML files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from mockbroker import Broker, ConfigError, ErrorForm, Profile, Server
from mockbroker.broker.profiles import (
    load_profiles,
    profile_named,
    shipped_names,
    shipped_profile,
)


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
        ("nope", "unknown profile 'nope'; `mockbroker profiles` lists those that ship"),
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
    "profile = 1": "bad.toml: profile: expected a string, got 1",
    "[tool.mockbroker.profiles.a]": "bad.toml: unknown table 'tool'; known are profile, profiles",
    "[profiles.autograb]": "bad.toml: profile 'autograb' is built in; choose another name",
    "[profiles.a]\ntoken_pth = '/t'": (
        "bad.toml: profiles.a: unknown key 'token_pth'; did you mean 'token_path'?"
    ),
    "[profiles.a]\nname = 'b'": (
        "bad.toml: profiles.a: unknown key 'name'; known are extends, title, sources, token_path, "
        "token_path_aliases, path_values, token_query, method, body, parameter_names, grant_type, "
        "parameters, open_parameters, optional_parameters, required_headers, client…"
    ),
    "[profiles.a.parameters]\naudience = 1": (
        "bad.toml: profiles.a.parameters.audience: expected a string that is not empty, got 1"
    ),
    "[profiles.a.parameters]\nscope = 'a'": (
        "bad.toml: profiles.a: parameters: 'scope' is not a further parameter; remove it"
    ),
    "[[profiles.a.sources]]\nfields = ['scope']\nurl = 'x'": (
        "bad.toml: profiles.a.sources[0]: checked is missing"
    ),
    "[[profiles.a.sources]]\nfields = ['scop']\nurl = 'https://a'\nchecked = 2026-11-29": (
        "bad.toml: profiles.a: sources: unknown field 'scop'; did you mean 'scope'?"
    ),
    "[[profiles.a.sources]]\nfields = ['scope']\nurl = 'a'\nchecked = 2026-11-29": (
        "bad.toml: profiles.a.sources[0].url: expected a URL that begins with http:// or https://, "
        "got 'a'"
    ),
    "[[profiles.a.quotas]]\nrequests = 0\nperiod_seconds = 1": (
        "bad.toml: profiles.a.quotas[0].requests: expected a number from 1 to 1000000, got 0"
    ),
    "[profiles.a.quotas]\nrequests = 1": (
        "bad.toml: profiles.a.quotas: expected a list, got a table; "
        "write [[profiles.a.quotas]], not [profiles.a.quotas]"
    ),
    "[profiles.a.errors.invalid_client]\nstatus = 700\nbody = 'x'": (
        "bad.toml: profiles.a.errors.invalid_client.status: expected a status from 200 to 599, "
        "got 700"
    ),
    "[profiles.a.errors.invalid_client]\nstatus = 200": (
        "bad.toml: profiles.a.errors.invalid_client: body is missing"
    ),
    "[profiles.a.errors.invalid_clinet]\nstatus = 200\nbody = 'x'": (
        "bad.toml: profiles.a: errors: unknown situation 'invalid_clinet'; "
        "did you mean 'invalid_client'?"
    ),
    "[profiles.a.errors.quota]\nstatus = 200\nbody = '{descripton}'": (
        "bad.toml: profiles.a: errors: unknown placeholder {descripton} in a body; "
        "did you mean 'description'?"
    ),
    "[profiles.a.answer.members]\nurl = '{api}'": (
        "bad.toml: profiles.a: answer.members.url: unknown placeholder {api}; "
        "did you mean 'api_url'?"
    ),
    "[profiles.a.answer.paths]\ntoken = 'a.b'": (
        "bad.toml: profiles.a: answer.paths: unknown member 'token'; did you mean 'token_type'?"
    ),
    "[profiles.a.answer.paths]\nscope = 'a..b'": (
        "bad.toml: profiles.a.answer.paths.scope: expected names of members, joined by dots, "
        "got 'a..b'"
    ),
    "[profiles.a]\ntoken_path = '/{tenant/t'": (
        "bad.toml: profiles.a: token_path: a brace is not closed in '/{tenant/t'; "
        "write a placeholder as {tenant}"
    ),
    "[profiles.a]\ntoken_path_aliases = ['/{a b}/t']": (
        "bad.toml: profiles.a: token_path_aliases: {a b} is not a placeholder; "
        "write a name between braces, as in {tenant}"
    ),
    "[profiles.a.path_values]\ntenant = 'x'": (
        "bad.toml: profiles.a: path_values: token_path has no placeholder {tenant}"
    ),
    "[profiles.a.required_headers]\n'a b' = 'x'": (
        "bad.toml: profiles.a: required_headers: 'a b' is not the name of a header field"
    ),
    "[profiles.a.parameter_names]\nscope = 'client_id'": (
        "bad.toml: profiles.a: parameter_names: two parameters have the same name: "
        "client_id, client_secret, grant_type, client_id"
    ),
    "[profiles.a]\noptional_parameters = ['b']\nparameters = {b = 'x'}": (
        "bad.toml: profiles.a: optional_parameters: 'b' is in parameters as well; remove it"
    ),
    "[profiles.a]\nmethod = 'GET'": (
        "bad.toml: profiles.a: body: a GET request has its parameters in the query, "
        "but body is 'form'"
    ),
    "[profiles.a]\nscope_required = true": (
        "bad.toml: profiles.a: example_scope is missing; scope_required needs it, for examples and "
        "test cases"
    ),
    "[profiles.a]\ngrant_type = ''": (
        "bad.toml: profiles.a: grant_type: expected a string that is not empty, or false, got ''"
    ),
    "[profiles.a]\nextends = 3": (
        "bad.toml: profiles.a.extends: expected the name of a profile, got 3"
    ),
    "[profiles.a]\nextends = 'rfc674'": (
        "bad.toml: profiles.a.extends: unknown profile 'rfc674'; did you mean 'rfc6749'?"
    ),
    "[profiles.a]\nextends = 'b'\n[profiles.b]\nextends = 'a'": (
        "bad.toml: profiles.b.extends: profiles extend each other in a circle: "
        "a extends b extends a"
    ),
    "[profiles.a]\nextends = 'post'\nscope = 5": (
        "bad.toml: profiles.a.scope: expected a string or false, got 5"
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
        "bad.toml: profiles.a.client_authentication: unknown method 'digest'; known are "
        "basic, post, query, header, none, private_key_jwt, tls_client_auth, "
        "self_signed_tls_client_auth"
    ),
    "[profiles.a]\nbasic_encoding = 'percent'": (
        "bad.toml: profiles.a.basic_encoding: expected 'raw', 'form' or 'base64', got 'percent'"
    ),
    "[profiles.a]\nclient_authentication = 'bsic'": (
        "bad.toml: profiles.a.client_authentication: unknown method 'bsic'; did you mean 'basic'?"
    ),
    "[profiles.a]\ntoken_shape = 'acme_{8}'": (
        "bad.toml: profiles.a: token_shape: expected 22 or more random characters, such as "
        "'acme_{32}', got 8"
    ),
    "[profiles.a]\ntoken_shape = 'acme {32}'": (
        "bad.toml: profiles.a: token_shape: expected visible characters and numbers in braces, "
        "such as 'acme_{32}', got 'acme {32}'"
    ),
    "[profiles.a]\ntoken_format = 'jwt'\ntoken_shape = 'acme_{32}'": (
        "bad.toml: profiles.a: token_shape: a token in the format 'jwt' has no other shape; remove "
        "one of both"
    ),
    "[profiles.a]\ntoken_format = 'JWT '": (
        "bad.toml: profiles.a.token_format: expected 'opaque' or 'jwt', got 'JWT '"
    ),
    "[profiles.a]\nclient_authentication = 'client_secret_post'": (
        "bad.toml: profiles.a.client_authentication: unknown method 'client_secret_post'; "
        "did you mean 'post'?"
    ),
    "[profiles.a]\nbasic_encoding = 'forms'": (
        "bad.toml: profiles.a.basic_encoding: expected 'raw', 'form' or 'base64', got 'forms'; "
        "did you mean 'form'?"
    ),
    "[profiles.b]\n[profiles.a]\nx = 1": (
        "bad.toml: profiles.a: unknown key 'x'; known are extends, title, sources, token_path, "
        "token_path_aliases, path_values, token_query, method, body, parameter_names, grant_type, "
        "parameters, open_parameters, optional_parameters, required_headers, client…"
    ),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_an_error_that_says_where_and_what_was_expected(tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profiles(file)
    assert str(caught.value) == f"{tmp_path}/{BAD_FILES[text]}"


OWN = "the broker has endpoints of its own below"
BODY = "expected the status of a response with a body, got"
BAD_VALUES = {
    "answer.strings = ['expire_in']": (
        "answer.strings: unknown member 'expire_in'; did you mean 'expires_in'?"
    ),
    "answer.date_format = 'YYYY%%'": (
        "answer.date_format: expected a form of a date such as '%Y-%m-%d', got 'YYYY%%'"
    ),
    "answer.date_format = '%Y-%Q'": "answer.date_format: unknown directive '%Q' in '%Y-%Q'",
    "answer.date_format = '%Y-%'": "answer.date_format: unknown directive '%' in '%Y-%'",
    "token_policy = 'same'\nrenewal_seconds = 90\nexpires_in = 60.5": (
        "renewal_seconds: expected at most the 60.5 seconds of expires_in, got 90"
    ),
    "token_policy = 'single'\nrenewal_seconds = 90": (
        "renewal_seconds: token_policy 'single' has no use for it; "
        "write 0, or token_policy = 'same' or 'refuse'"
    ),
    "overlap_seconds = 1": (
        "overlap_seconds: token_policy 'new' has no use for it; write 0, or token_policy = 'single'"
    ),
    "client_authentication = ['post', 'basic', 'post']": (
        "client_authentication: 'post' is there twice; remove one"
    ),
    "answer.omit = ['access_token']": (
        "answer.omit: no client finds a token without access_token; remove it"
    ),
    "answer.members.access_token = 'x'": (
        "answer.members: 'access_token' at 'access_token' and 'access_token' at 'access_token' "
        "exclude each other"
    ),
    "answer = {paths = {access_token = 'data.t'}, members = {data = 'x'}}": (
        "answer.members: 'data' at 'data' and 'access_token' at 'data.t' exclude each other"
    ),
    "answer.paths.token_type = 'access_token'": (
        "answer.paths: 'token_type' at 'access_token' and 'access_token' at 'access_token' "
        "exclude each other"
    ),
    "answer.members.'a..b' = 1": (
        "answer.members: expected names of members, joined by dots, got 'a..b'"
    ),
    "token_path = '/t?v=1'": (
        "token_path: expected a path without a query or a fragment, got '/t?v=1'; "
        "write the query as token_query"
    ),
    "api_prefix = '/v2#a'": (
        "api_prefix: expected a path without a query or a fragment, got '/v2#a'"
    ),
    "api_header = 'Host'": (
        "api_header: 'Host' is set by the client's HTTP library; choose another field"
    ),
    "client_authentication = 'header'\nparameter_names.client_id = 'X Id'": (
        "parameter_names: 'X Id' is not the name of a header field; "
        "client_authentication = 'header' needs that"
    ),
    "answer.status = 204": f"answer.status: {BODY} 204",
    "errors.quota = {status = 304, body = 'x'}": f"errors: status: {BODY} 304",
    "token_path = '/__mockbroker__/t'": (
        f"token_path: {OWN} /__mockbroker__; choose another path, not '/__mockbroker__/t'"
    ),
    "token_path_aliases = ['/.well-known/t']": (
        f"token_path_aliases: {OWN} /.well-known; choose another path, not '/.well-known/t'"
    ),
    "token_path = '/{b}/t'\npath_values.b = '.well-known'": (
        f"path_values: {OWN} /.well-known; choose another path, not '/.well-known/t'"
    ),
    "api_prefix = '/__mockbroker__'": (
        f"api_prefix: {OWN} /__mockbroker__; choose another path, not '/__mockbroker__'"
    ),
    "required_headers.Content-type = '*'": (
        "required_headers: 'Content-type' comes from body; remove it"
    ),
    "required_headers.Authorization = '*'": (
        "required_headers: 'Authorization' comes from client_authentication; remove it"
    ),
    "client_authentication = 'header'\nrequired_headers.Client_id = 'x'": (
        "required_headers: 'Client_id' comes from client_authentication; remove it"
    ),
    "api_required_headers.authorization = '*'": (
        "api_required_headers: 'authorization' comes from api_header; remove it"
    ),
    "api_required_headers.Host = '*'": (
        "api_required_headers: 'Host' is set by the client's HTTP library; choose another field"
    ),
    "extends = 'post'\nmethod = 'GET'\nbody = 'query'": (
        "client_authentication: 'post' is in the body, but body = 'query' leaves that empty; "
        "write 'query'"
    ),
}


@pytest.mark.parametrize("text", BAD_VALUES)
def test_a_value_that_cannot_work_is_an_error(tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_text(f"[profiles.a]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_profiles(file)
    assert str(caught.value) == f"{file}: profiles.a: {BAD_VALUES[text]}"


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


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "bom.toml").write_text("[profiles.a]\nexpires_in = 7\n", encoding="utf-8-sig")
    assert load_profiles(tmp_path / "bom.toml")["a"].expires_in == 7


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
        ("basic_encoding", "utf", "expected 'raw', 'form' or 'base64', got 'utf'"),
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
        "profile acme: client_authentication: unknown method 'digest'; known are "
        "basic, post, query, header, none, private_key_jwt, tls_client_auth, "
        "self_signed_tls_client_auth"
    )
    assert str(caught.value) == message


def test_a_profile_made_of_lists_is_a_value_as_any_other():
    profile = Profile(name="acme", client_authentication=["basic", "post"], token_path_aliases=[])
    assert profile.client_authentication == ("basic", "post")
    assert hash(profile) == hash(Profile(name="acme", client_authentication=("basic", "post")))


def test_a_broker_rejects_what_is_not_a_profile():
    with pytest.raises(TypeError, match="profile must be a Profile or the name of one, not 5"):
        Broker(profile=5)


@pytest.mark.parametrize("other", ["api_query = 't'", "api_header = 'X-Token'"])
def test_a_call_whose_token_is_elsewhere_may_need_an_authorization_header(tmp_path, other):
    file = tmp_path / "good.toml"
    file.write_text(f"[profiles.a]\n{other}\napi_required_headers.Authorization = 'Key 5'\n")
    assert load_profiles(file)["a"].api_required_headers == {"Authorization": "Key 5"}


def test_a_member_may_have_the_name_of_one_that_the_answer_lacks(tmp_path):
    file = tmp_path / "good.toml"
    file.write_text(
        "[profiles.a]\nscope = false\n"
        "answer = {omit = ['expires_in'], members = {scope = 'x', expires_in = 'never'}}\n"
    )
    assert load_profiles(file)["a"].answer.members == {"scope": "x", "expires_in": "never"}


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_profiles(tmp_path / "none.toml")


def test_errors_of_a_provider_are_a_part_of_its_profile(tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text("[profiles.acme.errors.quota]\nstatus = 200\nbody = '{\"errcode\": 1}'\n")
    form = ErrorForm(status=200, body='{"errcode": 1}')
    acme = profile_named("acme", config=file)
    assert acme.token_errors == (form,)
    assert acme == Profile(name="acme", errors={"quota": form})
    assert acme.error_form("quota") == form
    assert acme.error_form("invalid_client") is None
    with pytest.raises(ValueError, match="status: expected a status from 200 to 599, got 99"):
        ErrorForm(status=99, body="x")


def test_a_body_of_an_error_is_escaped_as_its_media_type_needs_it():
    values = {"description": 'a "b" <c>'}
    json_form = ErrorForm(status=400, body='{"a": {"b": "{description}"}}')
    assert json_form.filled(values) == '{"a": {"b": "a \\"b\\" <c>"}}'
    xml = {"content-type": "text/xml; charset=utf-8"}
    assert ErrorForm(status=400, body="<e>{description}</e>", headers=xml).filled(values) == (
        "<e>a &quot;b&quot; &lt;c&gt;</e>"
    )
    text = {"Content-Type": "text/plain"}
    assert ErrorForm(status=400, body="{description}", headers=text).filled(values) == 'a "b" <c>'
    assert ErrorForm(status=400, body="{uuid}", headers=text).example().count("-") == 4


BASE = """
[profiles.base]
title = "Base"
token_path = "/{tenant}/token"
client_authentication = "post"
[profiles.base.path_values]
tenant = "common"
[profiles.base.parameters]
audience = "https://a"
[profiles.base.errors.quota]
status = 429
body = "slow"
[[profiles.base.sources]]
fields = ["token_path", "parameters"]
url = "https://base.example/page"
checked = 2026-11-29
[[profiles.base.sources]]
fields = ["client_authentication"]
url = "https://base.example/other"
checked = 2026-11-28
"""


def test_a_profile_extends_another_one(tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text(
        BASE
        + """
[profiles.own]
extends = "base"
client_authentication = "basic"
[profiles.own.parameters]
resource = "https://r"
[profiles.own.errors.quota]
status = 200
[[profiles.own.sources]]
fields = ["client_authentication"]
url = "https://own.example/"
checked = 2026-11-27
note = "read in a hurry"
"""
    )
    own = profile_named("own", config=file)
    assert (own.extends, own.title) == ("base", "")
    assert own.token_path == "/{tenant}/token"
    assert own.own_token_path == "/common/token"
    assert own.parameters == {"audience": "https://a", "resource": "https://r"}
    assert own.errors == {"quota": ErrorForm(status=200, body="slow")}
    [source] = own.sources_of("client_authentication")
    assert (str(source), source.note) == ("https://own.example/", "read in a hurry")
    assert [each.url for each in own.sources_of("token_path")] == ["https://base.example/page"]
    assert len(own.sources) == 2


def test_sources_of_an_extending_profile_are_tables(tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text(BASE + "[profiles.own]\nextends = 'base'\nsources = 5\n")
    with pytest.raises(ConfigError, match=r"profiles\.own.*sources"):
        profile_named("own", config=file)


@pytest.mark.parametrize("name", shipped_names())
def test_a_profile_that_ships_is_found_by_its_name(name):
    profile = profile_named(name)
    assert profile.name == name
    assert profile is profile_named(name)


def test_the_name_of_a_profile_is_no_path():
    assert shipped_profile("../shipped_profiles/post") is None


@pytest.mark.parametrize("prefix", ["", "/base"])
def test_a_placeholder_in_the_token_path_accepts_any_value(tmp_path, prefix):
    file = tmp_path / "profiles.toml"
    file.write_text(BASE)
    broker = Broker(profile=profile_named("base", config=file))
    with Server() as server:
        server.mount(broker, prefix)
        assert broker.token_url.endswith(f"{prefix}/common/token")
        data = {
            "grant_type": "client_credentials",
            "audience": "https://a",
            "client_id": broker.credentials.client_id,
            "client_secret": broker.credentials.client_secret,
        }
        origin = broker.token_url.removesuffix(f"{prefix}/common/token")
        for path, status in {
            "/common/token": 200,
            "/contoso.example/token": 200,
            "/a/b/token": 404,
            "/token": 404,
        }.items():
            answer = requests.post(f"{origin}{prefix}{path}", data=data, timeout=5)
            assert answer.status_code == status
