"""The reproduction of a breach has what matters: credentials, true numbers, and the mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Three mistakes in one client. HOME and ACME_KEY are variables of the user's environment.
CLIENT = f"""
import os
import sys

sys.path.insert(0, {str(ROOT)!r})
from examples.model_client import ApiClient, TokenManager


class Tokens(TokenManager):
    def _time_until_refresh(self, lifetime):
        return lifetime / 1000

    def get_token(self):
        return str(super().get_token().encode())


def make_client(config):
    secret = os.path.expandvars(config.client_secret) + os.environ.get("ACME_KEY", "")[:0]
    tokens = Tokens(config.token_url, config.client_id, secret, timeout=config.timeout)
    return ApiClient(tokens, config.api_base_url, timeout=config.timeout)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[str, dict]:
    """What the terminal shows, and the rows of the JSON report."""
    folder = tmp_path_factory.mktemp("acme")
    (folder / "acme.py").write_text(CLIENT)
    only = "basic.credentials,response.opaque-token,signing.bearer"
    done = subprocess.run(  # noqa: S603 - our own program
        [
            sys.executable,
            "-m",
            "mockbroker",
            "check",
            "acme.py",
            "--only",
            only,
            "--json",
            "r.json",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    clauses = json.loads((folder / "r.json").read_text(encoding="utf-8"))["clauses"]
    return done.stdout, {row["id"]: row for row in clauses}


def test_the_credentials_that_matter_are_shown(run):
    shown, rows = run
    [step] = [
        s for s in rows["basic.credentials"]["steps"] if s["step"] == "credentials-configured"
    ]
    assert (step["client_id"], "$" in step["client_secret"]) == ("$HOME", True)
    assert "configured with client_id '$HOME' and client_secret" in shown


def test_the_mistake_is_named_on_the_terminal_and_as_a_value(run):
    shown, rows = run
    diagnosis = rows["basic.credentials"]["diagnosis"]
    assert diagnosis["mistake"] == "hinted"
    assert "expanded as a variable" in diagnosis["hint"]
    assert f"    likely   {diagnosis['hint']}" in shown.splitlines()
    assert "was bytes" in rows["response.opaque-token"]["diagnosis"]["hint"]
    # It stands in one place, and not in the observation as well.
    assert diagnosis["hint"] not in rows["basic.credentials"]["reason"]


def test_a_call_that_breaks_the_clause_is_the_last_one(run):
    _, rows = run
    assert [exchange["method"] for exchange in rows["signing.bearer"]["exchanges"]] == [
        "POST",
        "GET",
    ]


def test_a_command_has_no_option_with_its_default(run):
    _, rows = run
    command = rows["basic.credentials"]["reproduce"]
    assert command == "mockbroker check acme.py --only basic.credentials"
