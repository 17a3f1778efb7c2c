"""The lines that `mockbroker serve` prints for each request."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace

import click
import pytest
import requests

from mockbroker import Broker, Fault, Profile
from mockbroker.cli.console import LONGEST_TARGET, banner, log_lines
from mockbroker.cli.streams import echo
from mockbroker.model.profile import AUTOGRAB

GRANT = {"grant_type": "client_credentials"}
OTHER_AUTOGRAB = replace(AUTOGRAB, expires_in=7)
SHOP = ("shop", "s3cr:et")


def last_lines(broker):
    lines = log_lines(broker.journal[-1], broker.masked)
    return click.unstyle(lines)


def test_a_secret_in_the_url_is_masked_though_it_is_nobodys(broker):
    requests.post(f"{broker.token_url}?client_secret=mistyped", data=GRANT, auth=SHOP, timeout=5)
    assert "?client_secret=<masked>" in last_lines(broker)
    assert "mistyped" not in last_lines(broker)


def test_only_an_answer_without_error_is_ok(broker):
    broker.script(Fault.status(503))
    requests.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    assert "503" in last_lines(broker)
    assert "ok" not in last_lines(broker).split("503")[1]
    requests.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    assert last_lines(broker).endswith("token #1, ok")


@pytest.mark.parametrize("shift", [0, 1, 7, 12])
def test_a_long_target_is_cut_and_a_secret_that_is_cut_in_two_is_hidden(broker, shift):
    before = "x" * (LONGEST_TARGET - len("/v2/") - shift)
    requests.get(f"{broker.api_url}/{before}%73%33%63%72%3A%65%74{'y' * 40_000}", timeout=5)
    lines = last_lines(broker)
    assert "%73" not in lines
    assert len(lines) < 2 * LONGEST_TARGET
    assert "x…" in lines or "x<" in lines


WITHOUT_DESCRIPTORS = r"""
import resource
from mockbroker import Broker, Credentials
from mockbroker.cli.console import log_lines
from mockbroker.model.messages import Request

broker = Broker(credentials=Credentials("shop", "s3cr:et"))
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
broker.handle(Request("GET", "/v2/\x1b\ud83d\ude00s3cr:et"), "http://b")
print(log_lines(broker.journal[-1], broker.masked))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of descriptors are POSIX")
def test_a_line_needs_no_file_descriptor():
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "<secret>" in ran.stdout


def test_a_request_that_gets_no_answer_is_a_line_too(broker):
    broker.script(Fault.reset())
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    assert "no answer" in last_lines(broker)


@pytest.mark.parametrize(
    ("profile", "shown"), [(AUTOGRAB, 1), (replace(AUTOGRAB, name="acme"), 0), (OTHER_AUTOGRAB, 0)]
)
def test_only_a_profile_that_ships_is_shown_by_its_name(profile, shown):
    with Broker(profile=profile).running() as broker:
        assert banner(broker).count("mockbroker profiles show") == shown


def test_the_curl_command_of_the_banner_has_what_the_profile_requires():
    profile = Profile(name="acme", parameters={"audience": "https://a b/"})
    with Broker(profile=profile).running() as broker:
        assert "--data-urlencode 'audience=https://a b/' -d grant_type" in banner(broker)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "printed"),
    [
        (Terminal(), "", "\x1b[32mok\x1b[0m\n"),
        (Terminal(), "1", "ok\n"),
        (io.StringIO(), "", "ok\n"),
    ],
)
def test_lines_have_colours_on_a_terminal_only(stream, no_color, printed, monkeypatch):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stdout", stream)
    echo(click.style("ok", fg="green"))
    assert stream.getvalue() == printed
