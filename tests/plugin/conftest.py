"""Running pytest and the command line as another project would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

MODEL_CLIENT = Path(__file__).parents[2] / "examples" / "model_client.py"
OTHERS_NEWS = "ignore:The configuration option"  # of pytest-asyncio, about itself
WARNINGS = ("-W", "error", "-W", OTHERS_NEWS)
# Installed for a few tests. Together they import for half a second, asyncio and trio among it, in
# every process of the many runs that do not use them.
OTHERS = ("anyio", "asyncio", "randomly", "requests_mock", "respx", "socket", "time_machine")


@pytest.fixture
def without_other_plugins(monkeypatch) -> None:
    """Start pytest without the plugins of others."""
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in OTHERS))


PRELUDE = """
    import freezegun, pytest, requests
    from mockbroker import Fault

    GRANT = {"grant_type": "client_credentials"}

    def get_token(broker, pair=None):
        pair = pair or (broker.credentials.client_id, broker.credentials.client_secret)
        return requests.post(broker.token_url, GRANT, auth=pair, verify=broker.ca_file, timeout=5)

    def call(broker, answer):
        headers = {"Authorization": "Bearer " + answer.json()["access_token"]}
        url = broker.api_url + "/vehicles/7"
        return requests.get(url, headers=headers, verify=broker.ca_file, timeout=5)
"""


@pytest.fixture
def run(pytester, without_other_plugins):
    """Run tests as another project would, each warning an error."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(textwrap.dedent(PRELUDE) + textwrap.dedent(code))
        return pytester.runpytest_subprocess(*WARNINGS, *arguments)

    return run


@pytest.fixture
def contract(pytester, without_other_plugins) -> Callable[..., pytest.RunResult]:
    """Run the contract by pytest, each warning an error."""

    def contract(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            *WARNINGS, "--pyargs", "mockbroker_contract", *arguments
        )

    return contract


@pytest.fixture
def check(pytester) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `mockbroker check` in an empty directory."""

    def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "mockbroker", "check", *arguments],
            cwd=pytester.path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return check


def verdicts(path: Path) -> dict[str, str]:
    """The verdict on each clause, from a JSON report."""
    report = json.loads(path.read_text(encoding="utf-8"))
    return {row["id"]: row["verdict"] for row in report["clauses"]}
