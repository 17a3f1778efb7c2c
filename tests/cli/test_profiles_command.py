"""`mockbroker profiles`: the list, what a profile means, and what is wrong with a file."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import requests
from click.testing import CliRunner

from mockbroker import Broker
from mockbroker.broker.answer_form import member_at
from mockbroker.broker.profiles import load_profiles, shipped_names, shipped_profile
from mockbroker.cli.commands import cli
from mockbroker.cli.profile_tables import toml_of
from mockbroker.cli.profile_words import facts_of, in_words
from tests.broker.programs import run, serving, token_url

GOOD = """
[profiles.acme]
extends = "post"
token_path = "/{tenant}/token"
path_values = {tenant = "contoso"}
"""


def profiles(*arguments):
    result = CliRunner().invoke(cli, ["profiles", *map(str, arguments)], standalone_mode=False)
    if result.exception is not None:
        return 4, result.output + str(result.exception)
    return result.return_value, result.output


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_list_has_a_line_for_each_profile(tmp_path):
    _, text = profiles()
    lines = text.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_names())
    assert any(line.endswith("post, basic, private_key_jwt") for line in lines)
    assert "AutoGrab developer pages" in text
    file = tmp_path / "own.toml"
    file.write_text(GOOD)
    _, text = profiles("--config", file)
    assert text.splitlines()[-1].split() == ["acme", "extends", "post", "post"]
    listed = json.loads(profiles("--json")[1])["profiles"]
    assert {"name": "x", "title": "X (Twitter), app-only", "client_authentication": ["basic"]} in (
        listed
    )


def test_a_wrong_file_of_the_project_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.mockbroker.profiles.a]\nx = 1\n")
    status, text = profiles()
    assert status == 4
    assert "pyproject.toml: tool.mockbroker.profiles.a: unknown key 'x'" in text


def test_a_profile_is_shown_with_the_pages_of_its_facts():
    _, text = profiles("show", "uber")
    assert "  POST to /oauth/v2/token. [1]\n" in text
    assert "More than 100 token requests in 1 hour get an error. [1]" in text
    assert (
        "[1] https://developer.uber.com/docs/consumer-identity/guides/client-credentials-flow, "
        "checked 2026-11-29"
    ) in text
    assert "[profiles.my-uber]" in text
    assert "Not confirmed by a page, and left out\n  that the 101st token ends" in text
    members = json.loads(profiles("show", "uber", "--json")[1])
    assert members["fields"]["expires_in"] == 2592000
    assert members["example_answer"]["access_token"] == "TOKEN"
    [quota] = [fact for fact in members["facts"] if fact["fields"] == ["quotas"]]
    assert len(quota["sources"]) == 1


def test_an_unknown_profile_is_named():
    assert "did you mean 'entra'?" in profiles("show", "entrra")[1]


@pytest.mark.parametrize("name", shipped_names())
def test_a_shown_table_describes_the_same_profile(tmp_path, name):
    shipped = shipped_profile(name)
    file = tmp_path / "copy.toml"
    file.write_text(toml_of(shipped, "copy"))
    copy = load_profiles(file)["copy"]
    assert dataclasses.replace(copy, name=name, extends=shipped.extends) == shipped


APP = """
import os, requests
form = {
    "grant_type": "client_credentials",
    "scope": "https://graph.microsoft.com/.default",
    "client_id": os.environ["CLIENT_ID"],
    "client_secret": os.environ["CLIENT_SECRET"],
}
token = requests.post(os.environ["TOKEN_URL"], form).json()["access_token"]
requests.get(os.environ["API_URL"] + "/x", headers={"Authorization": f"Bearer {token}"})
"""
ALL = """
[profiles.all]
method = "GET"
body = "query"
token_path = "/{tenant}/token"
token_query = "v=1"
token_path_aliases = ["/t"]
grant_type = false
basic_scheme = "Token"
optional_parameters = ["x"]
scope_separator = "|"
expires_in = 90
token_shape = "acme_{32}"
api_required_headers = {X-Shop = "*"}
token_policy = "single"
overlap_seconds = 30
repeats_expires_in = true
api_scheme = ""
parameter_names = {client_id = "id"}
parameters = {audience = "a"}
required_headers = {X-Version = "2", X-Trace = "*"}
quotas = [{requests = 1, period_seconds = 0.5}]
answer = {omit = ["expires_in"]}
errors.quota = {status = 200, body = "slow", headers = {Content-Type = "text/plain"}}
errors.api_error = {status = 500, body = "no"}
"""


def test_each_part_of_a_profile_has_its_words(tmp_path):
    file = tmp_path / "all.toml"
    file.write_text(ALL)
    text = " ".join(fact.text for fact in facts_of(load_profiles(file)["all"]))
    for words in (
        "GET to /{tenant}/token?v=1.",
        "The same endpoint is at /t.",
        "in the query of the URL",
        "The parameter client_id is called id.",
        "A token request has no grant_type.",
        "The parameter audience must be 'a'.",
        "Optional: x.",
        "X-Version is required, with the value '2'.",
        "X-Trace is required, with any value.",
        "'|' joins several",
        "The scheme is called Token.",
        "valid for 90 seconds; the response does not say so",
        "the old one ends 30 seconds later",
        "A token has the shape acme_{32}; a number in braces",
        "The header field X-Shop is required, with any value.",
        "More than 1 token request in 0.5 seconds",
        "each call has Authorization: TOKEN.",
        "If the client has requested too many tokens: status 200, slow",
        "For any error of the API that has no form of its own: status 500, no",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (120, "2 minutes"), (5400, "90 minutes"), (86400, "1 day")],
)
def test_a_duration_has_the_largest_unit_that_fits(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("same", "the same one again, with what is left of its lifetime. In the last 60 seconds"),
        ("refuse", "gets an error. In the last 60 seconds it gets another one."),
    ],
)
def test_a_policy_has_its_words(tmp_path, policy, words):
    file = tmp_path / "a.toml"
    file.write_text(f"[profiles.a]\ntoken_policy = '{policy}'\nrenewal_seconds = 60.5\n")
    text = " ".join(fact.text for fact in facts_of(load_profiles(file)["a"]))
    assert words.replace("60 seconds", "60.5 seconds") in text


def test_a_right_file_is_explained_and_tried(tmp_path):
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    status, text = profiles("check", file)
    assert status == 0
    assert "acme: extends post" in text
    assert "The broker's own URL has /contoso/token." in text
    assert "http://127.0.0.1:8080/contoso/token" in text
    assert 'status 200, {"access_token": "TOKEN"' in text
    assert "A call to the API with that token: status 200" in text
    assert "The same by an unknown client: status 401" in text
    assert text.endswith(f"{file}: acme: right.\n")


def test_the_token_is_left_out_of_a_printed_answer_wherever_it_is(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("[profiles.a]\nanswer.paths.access_token = 'data.0.t'\n")
    _, text = profiles("check", file)
    assert 'status 200, {"data": [{"t": "TOKEN"}], "expires_in": 3599' in text


def test_a_token_is_found_within_a_list_and_nowhere_else():
    document = {"data": [{"token": "t"}]}
    assert member_at(document, "data.0.token") == "t"
    for path in ("data.1.token", "data.token", "data.0.token.x", "none"):
        assert member_at(document, path) is None


def test_a_date_has_the_form_that_the_profile_says(tmp_path):
    file = tmp_path / "dates.toml"
    file.write_text(
        "[profiles.own]\napi_query = 'token'\n"
        "answer = {lifetime = 'rfc3339', date_format = '%d.%m.%Y %H:%M', "
        "paths = {expires_in = 'until.0'}}\n"
    )
    status, text = profiles("check", file)
    assert status == 0
    assert '"until": ["01.01.2026 12:59"]' in text
    assert "each call has ?token=TOKEN in its URL." in text


@pytest.mark.parametrize("name", ["okta-org", "shopify", "zoominfo", "marketo", "domo"])
def test_odd_dialects_are_tried_too(tmp_path, name):
    file = tmp_path / "good.toml"
    file.write_text(f"[profiles.own]\nextends = {name!r}\n")
    status, text = profiles("check", file)
    assert (status, "A call to the API with that token: status 200" in text) == (0, True), text


def test_certificates_are_not_checked_without_tls(tmp_path):
    file = tmp_path / "good.toml"
    file.write_text("[profiles.own]\nclient_authentication = 'tls_client_auth'\n")
    status, text = profiles("check", file)
    assert (status, "Certificates were not checked" in text) == (0, True)


WRONG = {
    "x = ": ("is not a valid TOML file",),
    "title = 'x'\n[profiles.a]": ("'title' is a field of a profile; write it below [profiles",),
    "[profiles.a]\ntoken_pth = '/t'": ("profiles.a: unknown key 'token_pth'; did you mean",),
    "[profiles.a]\nscope = 5\n[profiles.b]\nbody = 'x'": ("profiles.a.scope", "profiles.b.body"),
    "[profiles.a]\nerrors.quota = {status = 200, body = '{\"a\": {error}}'}": (
        "profiles.a: errors.quota.body: not valid JSON once its placeholders are filled",
    ),
    "[profiles.a]\nclient_authentication = 'query'\ntoken_query = 'client_id=x'": (
        "a client by query finds no token at access_token of the response",
    ),
    "[profiles.a]\ntoken_path = '/v2/example'": (
        "the API does not accept the token of the response: status 405",
    ),
}


@pytest.mark.parametrize("content", WRONG)
def test_a_wrong_file_is_one_sentence_for_each_mistake(tmp_path, content):
    file = tmp_path / "bad.toml"
    file.write_text(content)
    status, text = profiles("check", file)
    assert status == 1
    sentences = [line for line in text.splitlines() if line.startswith("Wrong: ")]
    assert len(sentences) == len(WRONG[content])
    for sentence, words in zip(sentences, WRONG[content], strict=True):
        assert words in sentence
    assert "right." not in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.toml", "[profiles.NAME]"), ("pyproject.toml", "[tool.mockbroker.profiles.NAME]")],
)
def test_a_file_without_a_profile_is_wrong(tmp_path, name, words):
    (tmp_path / name).write_text("")
    status, text = profiles("check", tmp_path / name)
    assert status == 1
    assert f"Wrong: {tmp_path / name} describes no profile; begin one with {words}" in text
    assert profiles("check", tmp_path / "none.toml")[0] == 4


def test_an_error_that_is_not_json_may_have_any_body(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(
        "[profiles.a]\nerrors.token_error = {status = 200, body = 'no', "
        "headers = {Content-Type = 'text/plain'}}\n"
    )
    status, text = profiles("check", file)
    assert status == 0
    assert "The same by an unknown client: status 200, no\n" in text


def test_the_profile_of_a_project_is_used_everywhere(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.mockbroker]\nprofile = "entra"\n')
    assert Broker(profile="").profile is shipped_profile("entra")
    done = run("audit", "--", sys.executable, "-c", APP)
    assert (done.returncode, "profile entra" in done.stdout) == (0, True), done.stdout
    with serving("--client", "shop:s3cret") as (_, output):
        url = token_url(output)
        assert url.endswith("/tenant/oauth2/v2.0/token")
        form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
        pair = {"client_id": "shop", "client_secret": "s3cret"}
        assert requests.post(url, {**form, **pair}, timeout=5).json()["token_type"] == "Bearer"
        assert requests.post(url, pair, timeout=5).status_code == 400
