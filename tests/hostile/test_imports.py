"""What a target does while it is imported, or looked up, is one sentence and exit status 4."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UNUSABLE = {
    "exits": "import sys; sys.exit(0)",
    "exits at once": "import os; os._exit(0)",
    "kills its parent": "import os, time; os.kill(os.getppid(), 9); time.sleep(60)",
    "raises no Exception": "raise KeyboardInterrupt",
    "raises what has no text": "class E(Exception):\n    __str__ = None\nraise E",
    "raises a number of 5000 digits": "raise ValueError(10**5000)",
    "raises half a surrogate": "raise ValueError('\\ud800\\x1b[31m')",
    "raises for every name": "def __getattr__(name): raise RuntimeError(name)",
    "yields a client": "async def make_client(config): yield config",
}


def check(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "client.py").write_text(source)
    only = ("--only", "response.documented", "--examples", "1")
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "check", "client.py", *only],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_cannot_be_imported_is_one_sentence(what, tmp_path):
    done = check(tmp_path, UNUSABLE[what])
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("mockbroker: ")


NAMELESS = """
from examples.model_client import make_client as model


class Meta(type):
    def __call__(cls, config):
        return model(config)

    def __getattribute__(cls, name):
        raise RuntimeError(name)


class make_client(metaclass=Meta):
    pass
"""


def test_a_factory_without_a_name_is_judged_like_any_other(tmp_path):
    done = check(tmp_path, NAMELESS)
    assert done.returncode == 0, done.stdout + done.stderr


TRIO = """
import time

import httpx
import trio


class Client:
    def __init__(self, config):
        self._config, self._token, self._until = config, None, 0.0

    async def get_token(self):
        await trio.sleep(0)
        if self._token is None or time.time() >= self._until - 30:
            pair = (self._config.client_id, self._config.client_secret)
            async with httpx.AsyncClient() as http:
                answer = await http.post(
                    self._config.token_url, data={"grant_type": "client_credentials"}, auth=pair
                )
            members = answer.raise_for_status().json()
            self._token, self._until = members["access_token"], time.time() + members["expires_in"]
        return self._token
"""
WRAPPED = """
import asyncio
import trio
import of_trio


def make_client(config):
    return of_trio.Client(config)
"""


def test_a_client_of_trio_is_known_wherever_its_factory_is(tmp_path):
    pytest.importorskip("trio")
    (tmp_path / "of_trio.py").write_text(TRIO)
    done = check(tmp_path, WRAPPED)
    assert done.returncode == 0, done.stdout + done.stderr


SETS_A_VARIABLE = """
import os

from examples.model_client import make_client as model

os.environ["ALLOWS_HTTP"] = "1"


def make_client(config):
    assert os.environ["ALLOWS_HTTP"] == "1"
    return model(config)
"""


def test_an_environment_variable_that_is_set_by_an_import_stays(tmp_path):
    done = check(tmp_path, SETS_A_VARIABLE)
    assert done.returncode == 0, done.stdout + done.stderr
