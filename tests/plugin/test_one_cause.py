"""Clients with one mistake, checked as a user checks them: one cause, on two screens."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENS_LINES, COLUMNS = 2 * 50, 80
FROM_EXAMPLES = {"PYTHONPATH": str(ROOT)}

MISREADS_ITS_SETTINGS = """
import requests

class Client:
    def __init__(self, config):
        self.config = config

    def get_token(self):
        return requests.post(self.config["token_url"], timeout=5).json()["access_token"]

    def request(self, method, url, **kwargs):
        headers = {"Authorization": "Bearer " + self.get_token()}
        return requests.request(method, url, headers=headers, **kwargs)

def make_client(config):
    return Client(config)
"""
FAILS_IN_EVERY_CALL = """
from examples.model_client import make_client as make

class Client:
    def __init__(self, client):
        self.get_token = client.get_token

    def request(self, method, url, **kwargs):
        return self.session.get(url, headers={"Authorization": "Bearer " + self.get_token()})

def make_client(config):
    return Client(make(config))
"""
DROPS_THE_SECRET = """
from dataclasses import replace
from examples.model_client import make_client as make

def make_client(config):
    return make(replace(config, client_secret=""))
"""
RETRIES_FOR_EVER = """
from examples.model_client import TokenError, make_client as make

class Client:
    def __init__(self, client):
        self.client = client

    def get_token(self):
        return self.again(self.client.get_token)

    def request(self, method, url, **kwargs):
        return self.again(self.client.request, method, url, **kwargs)

    def again(self, operation, *args, **kwargs):
        while True:
            try:
                return operation(*args, **kwargs)
            except TokenError as error:
                # Not after a broken connection: a hang is another mistake.
                if not error.code:
                    raise

def make_client(config):
    return Client(make(config))
"""


def lines_on_screen(text: str) -> int:
    """The lines that a terminal shows, which breaks those that are too long."""
    return sum(max(1, math.ceil(len(line) / COLUMNS)) for line in text.splitlines())


def heads(text: str) -> list[str]:
    """The clauses with a section of their own, in order."""
    return re.findall(r"(?m)^  [✗!?HCk] ([a-z.-]+) \((?:MUST|SHOULD|MAY|PRACTICE), ", text)


@pytest.mark.parametrize(
    ("client", "clause", "words"),
    [
        pytest.param(
            MISREADS_ITS_SETTINGS,
            "response.documented",
            "acme.py:8 in get_token",
            id="fails at its first use",
        ),
        pytest.param(
            FAILS_IN_EVERY_CALL,
            "response.documented",
            "acme.py:8 in request",
            id="fails in every call",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            DROPS_THE_SECRET,
            "basic.credentials",
            "the secret is empty",
            id="drops the secret",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            RETRIES_FOR_EVER,
            "errors.bounded",
            "one call becomes a stream of requests without end",
            id="retries for ever",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_one_mistake_is_one_section_on_two_screens(check, pytester, client, clause, words):
    pytester.makepyfile(acme=client)
    arguments = ("acme.py", "--examples", "1", "--json", "report.json")
    done = check(*arguments, COLUMNS=str(COLUMNS), PYTHONIOENCODING="utf-8", **FROM_EXAMPLES)
    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    assert done.returncode in (1, 5), done.stdout + done.stderr
    assert heads(done.stdout) == [clause]
    assert lines_on_screen(done.stdout) <= SCREENS_LINES
    assert words in " ".join(done.stdout.split())
    opening = " ".join(" ".join(done.stdout.splitlines()[2:6]).split())
    assert opening.startswith(report["overview"])
    assert f"--only {clause}" in done.stdout.splitlines()[-1]
    cause = next(row["reason"] for row in report["clauses"] if row["id"] == clause)
    blocked = [row for row in report["clauses"] if row["blocked_by"] == clause]
    # In the overview, in its section and at the end; not again for each clause that it blocks.
    assert " ".join(done.stdout.split()).count(cause) <= 3
    assert f"{len(blocked)} clauses: " in done.stdout or not blocked


RAISES = """
import base64

class AcmeError(Exception):
    pass

class Client:
    def __init__(self, config):
        self.config = config

    def get_token(self):
        try:
            return self.fetched()
        except ValueError as error:
            raise AcmeError("no token") from error

    def fetched(self):
        pair = f"{self.config.client_id}:{self.config.client_secret}"
        raise ValueError(pair + " " + base64.b64encode(pair.encode()).decode())

def make_client(config):
    return Client(config)
"""


def test_the_line_that_raised_is_shown_and_on_request_the_traceback_without_secrets(
    check, pytester
):
    pytester.makepyfile(acme=RAISES)
    arguments = ("acme.py", "--only", "response.documented", "--json", "report.json")
    brief = check(*arguments)
    assert "at       acme.py:14 in get_token" in brief.stdout
    assert "Traceback" not in brief.stdout
    assert "ValueError" not in brief.stdout
    full = check(*arguments, "--traceback")
    text = (pytester.path / "report.json").read_text(encoding="utf-8")
    row = next(row for row in json.loads(text)["clauses"] if row["id"] == "response.documented")
    assert row["steps"][-1]["outcome"]["place"] == {
        "file": "acme.py",
        "line": 14,
        "function": "get_token",
    }
    details = row["details"]
    assert re.search(r'File ".*acme\.py", line 18, in fetched', details)
    assert "ValueError: " in details.partition("which led to")[0]
    assert details.rstrip().endswith("AcmeError: no token")
    assert "mockbroker_contract" not in details
    assert "<masked>" in details or "<secret>" in details
    # The credentials of the test cases, as text and in Base64.
    for shown in (full.stdout, text):
        assert "ValueError: <" in shown or "<secret>" in shown
        assert not re.search(r"ValueError: \w+:\w+", shown)


def test_a_factory_that_fails_shows_its_line_and_on_request_the_traceback(check, pytester):
    pytester.makepyfile(acme="def make_client(config):\n    return config['token_url']\n")
    brief, full = check("acme.py"), check("acme.py", "--traceback")
    assert brief.returncode == full.returncode == 4
    assert "is not subscriptable at acme.py:2 in make_client; it is called with" in brief.stderr
    assert brief.stderr.count("\n") == 1
    assert "    return config['token_url']\n" in full.stderr


def test_the_traceback_of_a_factory_has_no_secret(check, pytester):
    pytester.makepyfile(
        acme="def make_client(config):\n    raise ValueError(f'no: {config.client_secret}')\n"
    )
    shown = check("acme.py", "--traceback").stderr
    assert shown.count("ValueError: no: <secret>") == 2
    assert "line 2, in make_client" in shown


def test_a_module_that_cannot_be_imported_shows_its_line(check, pytester):
    pytester.makepyfile(acme="import os\nprint(os.no_such_name)\n")
    brief, full = check("acme.py"), check("acme.py", "--traceback")
    assert brief.returncode == full.returncode == 4
    assert "AttributeError: module 'os' has no attribute 'no_such_name'" in brief.stderr
    assert "(acme.py:2 in <module>)" in brief.stderr
    assert "print(os.no_such_name)" in full.stderr


@pytest.mark.slow
def test_the_first_failure_ends_the_run_and_each_failure_is_printed_when_it_is_found(
    check, pytester
):
    pytester.makepyfile(acme=DROPS_THE_SECRET)
    selected = "basic,request,signing.bearer,cache.reuse"
    line = "mockbroker: ✗ basic.credentials (MUST, outage): the credentials in the"
    environment = {"PYTHONIOENCODING": "utf-8", **FROM_EXAMPLES}
    for jobs in ("1", "2"):
        arguments = ("acme.py", "--only", selected, "--examples", "1", "-j", jobs)
        whole = check(*arguments, **environment)
        first = check(*arguments, "--first-failure", **environment)
        assert (whole.returncode, first.returncode) == (1, 1)
        assert whole.stderr.count(line) == first.stderr.count(line) == 1
        assert "not reached: the run ended at the first failure" in first.stdout
        assert "not reached" not in whole.stdout
        assert "because of basic.credentials\n" in first.stdout


@pytest.mark.slow
@pytest.mark.covers
def test_pytest_ends_at_the_first_failure_as_well(contract, pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(acme=DROPS_THE_SECRET)
    arguments = ("--contract-client=acme.py", "--contract-only=basic,request")
    for workers in ((), ("-n", "2")):
        done = contract(*arguments, "--contract-first-failure", *workers)
        assert done.ret == 1
        done.stdout.fnmatch_lines(["*not reached: the run ended at the first failure*"])


def test_verbose_gives_each_clause_a_line_and_each_advice_its_steps(check, pytester):
    pytester.makepyfile(acme=DROPS_THE_SECRET)
    arguments = ("acme.py", "--only", "request.method,request.url,basic.credentials")
    brief = check(*arguments, PYTHONIOENCODING="utf-8", **FROM_EXAMPLES)
    verbose = check(*arguments, "-v", PYTHONIOENCODING="utf-8", **FROM_EXAMPLES)
    assert "  request    ✓ 2 passed\n" in brief.stdout
    assert "    ✓ MUST      method                  requests a token by POST" in verbose.stdout
    assert "    ✗ MUST      credentials             failed: the credentials" in verbose.stdout
