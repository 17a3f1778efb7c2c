"""The reproduction of a breach has what matters: credentials, true numbers, and the mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Two mistakes in one client.
CLIENT = f"""
import os
import sys

sys.path.insert(0, {str(ROOT)!r})
from examples.model_client import ApiClient, TokenManager


class Client(ApiClient):
    def _send(self, method, url, token, **kwargs):
        return super()._send(method, url, str(token.encode()), **kwargs)


def make_client(config):
    secret = os.path.expandvars(config.client_secret)
    tokens = TokenManager(config.token_url, config.client_id, secret, timeout=config.timeout)
    return Client(tokens, config.api_base_url, timeout=config.timeout)
"""
CREDENTIALS, OPAQUE, BEARER = "basic.credentials", "response.opaque-token", "signing.bearer"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[str, dict[str, Any]]:
    """What the terminal shows, and the rows of the JSON report."""
    folder = tmp_path_factory.mktemp("acme")
    (folder / "acme.py").write_text(CLIENT)
    only = f"{CREDENTIALS},{OPAQUE},{BEARER}"
    arguments = ["check", "acme.py", "--only", only, "--json", "r.json"]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", *arguments],
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
    steps = {step["step"]: step for step in rows[CREDENTIALS]["steps"]}
    step = steps["credentials-configured"]
    assert (step["client_id"], "$" in step["client_secret"]) == ("$HOME", True)
    assert "configured with client_id '$HOME' and client_secret" in shown


def test_the_mistake_is_named_on_the_terminal_and_as_a_value(run):
    shown, rows = run
    diagnosis = rows[CREDENTIALS]["diagnosis"]
    assert diagnosis["mistake"] == "hinted"
    assert "expanded as a variable" in diagnosis["hint"]
    # A terminal folds the line.
    assert f"likely {diagnosis['hint']}" in " ".join(shown.split())
    assert "was bytes" in rows[OPAQUE]["diagnosis"]["hint"]
    # It stands in one place, and not in the observation as well.
    assert diagnosis["hint"] not in rows[CREDENTIALS]["reason"]


def test_the_token_that_matters_is_shown(run):
    _, rows = run
    [token] = [step for step in rows[OPAQUE]["steps"] if step["step"] == "token-chosen"]
    assert token["value"].startswith("-._~+/")
    assert "76 characters were issued, and 79 arrived" in rows[OPAQUE]["reason"]


def test_a_call_that_breaks_the_clause_is_the_last_one(run):
    _, rows = run
    assert [exchange["method"] for exchange in rows[BEARER]["exchanges"]] == ["POST", "GET"]


def test_a_command_has_no_option_with_its_default(run):
    _, rows = run
    assert rows[CREDENTIALS]["reproduce"] == "mockbroker check acme.py --only basic.credentials"
