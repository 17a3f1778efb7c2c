"""A request to a path that no endpoint has: the log and the answer say which one is near."""

from __future__ import annotations

import json

import click
import pytest

from mockbroker import Broker, Profile
from mockbroker.broker.exchange_view import view_of
from mockbroker.cli.console import log_lines
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile_parts import ParameterNames

GRANT = b"grant_type=client_credentials"
BEARER = ("Authorization", "Bearer abc")
TOO_EARLY = "the path ends too early; the path of the token URL is /auth-broker/request-token"
NEAREST = "the nearest path is that of the token URL, /auth-broker/request-token"
CONTROL = "the control API is below /__mockbroker__/"


def asked(method, target, *fields, body=b"", profile="autograb", prefix=""):
    broker = Broker(profile=profile)
    broker.mounted_at("http://broker", prefix)
    request = Request(method, prefix + target, Headers(fields), body)
    reply = broker.handle(request, "http://broker")
    exchange = broker.journal[-1]
    lines = click.unstyle(log_lines(exchange, broker.masked)).splitlines()
    hint = json.loads(reply.response.body).get("hint", "")
    # The log, the answer and what the live page reads agree.
    assert [line.strip().removeprefix("hint: ") for line in lines[1:]] == ([hint] if hint else [])
    assert (view_of(exchange, broker.masked).hint or "") == hint
    assert reply.response.status == 404
    return hint


CASES = [
    ("POST", "/", GRANT, TOO_EARLY),
    ("POST", "/auth-broker", GRANT, TOO_EARLY),
    ("GET", "/auth-broker/", b"", f"{TOO_EARLY}, which takes POST only"),
    ("POST", "/oauth2", GRANT, NEAREST),
    ("GET", "/anything?grant_type=client_credentials", b"", f"{NEAREST}, which takes POST only"),
    ("POST", "/request-tokens", b"", NEAREST),
    ("POST", "/anything", b"client_id=shop&client_secret=s3cret", NEAREST),
    ("GET", "/__mockbroker/tokens", b"", CONTROL),
    ("GET", "/mockbroker/tokens", b"", CONTROL),
    ("GET", "/v1/vehicle/1", b"", "the path has another version; the API is below /v2/"),
    ("GET", "/.well-known/openid-configuration", b"", "profile autograb has no such document; a "),
    ("GET", "/favicon.ico", b"", ""),
    ("GET", f"/{'x' * 9000}", b"", ""),
]


@pytest.mark.parametrize(("method", "target", "body", "words"), CASES)
def test_the_nearest_path_is_named(method, target, body, words):
    form = ("Content-Type", "application/x-www-form-urlencoded")
    hint = asked(method, target, form, body=body)
    assert hint.startswith(words)
    assert bool(hint) is bool(words)


def test_a_signed_call_is_led_to_the_api():
    assert asked("GET", "/vehicle/1", BEARER) == "calls to the API have paths below /v2/"


def test_paths_of_a_broker_below_a_prefix_have_it():
    assert asked("POST", "/tok", prefix="/tenant", profile="rfc6749") == (
        "the nearest path is that of the token URL, /tenant/token"
    )


def test_the_path_of_another_profile_is_recognized():
    assert asked("POST", "/auth-broker/request-token/", profile="rfc6749", body=GRANT) == (
        "that is the token path of profile autograb; this broker has profile rfc6749, whose token "
        "path is /token"
    )


def test_the_names_and_the_method_of_the_profile_count():
    names = ParameterNames(client_secret="clientsecret")
    profile = Profile(
        name="acme",
        token_path="/{tenant}/login",
        path_values={"tenant": "t1"},
        method="GET",
        body="query",
        client_authentication="query",
        parameter_names=names,
    )
    assert asked("POST", "/anything?clientsecret=mistyped", profile=profile) == (
        "the nearest path is that of the token URL, /t1/login, which takes GET only"
    )
