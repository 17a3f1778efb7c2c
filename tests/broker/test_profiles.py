"""Profiles from TOML files."""

from __future__ import annotations

import pytest

from mockbroker import Broker, ConfigError
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


def test_an_unknown_profile_is_told_with_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"'nope'.*autograb, rfc6749"):
        Broker(profile="nope")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[profiles", "no TOML"),
        ("profiles = 1", "must be a table"),
        ("profiles.acme = 1", "must be a table"),
        ("[profiles.autograb]", "ships"),
        ("[profiles.a]\ntoken_pth = '/t'", "unknown key 'token_pth'"),
        ("[profiles.a]\ntoken_path = 't'", "begins and does not end with a slash"),
        ("[profiles.a]\napi_prefix = 3", "begins and does not end with a slash"),
        ("[profiles.a]\nexpires_in = true", "number of seconds"),
        ("[profiles.a]\nexpires_in = inf", "finite number of seconds"),
        ("[profiles.a]\nexpires_in = -1", "finite number of seconds"),
        ("[profiles.a]\nscope = true", "text or false"),
        ("[profiles.a]\nbasic_encoding = 'percent'", "'raw' or 'form'"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence(tmp_path, text, message):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_profiles(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_profiles(tmp_path / "none.toml")
