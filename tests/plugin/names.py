"""Projects whose own modules have the names of packages of ours."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CLIENTS", "PROJECTS", "make_project", "write_files"]

THEIRS = 'def theirs():\n    return "theirs"\n'
USE = "from {module} import theirs\n\ndef test_theirs():\n    assert theirs() == 'theirs'\n"
BROKER = """
import requests

def test_ours(auth_broker):
    assert requests.get(auth_broker.token_url, timeout=5).status_code == 405
"""
PROJECTS: dict[str, dict[str, str]] = {
    "a package contract_tests with tests": {
        "contract_tests/__init__.py": "",
        "contract_tests/helpers.py": THEIRS,
        "contract_tests/test_theirs.py": USE.format(module="contract_tests.helpers"),
    },
    "a package contract_tests below tests": {
        "tests/contract_tests/__init__.py": "",
        "tests/contract_tests/helpers.py": THEIRS,
        "tests/contract_tests/test_theirs.py": USE.format(module="contract_tests.helpers"),
    },
    "a module contract_tests": {
        "contract_tests.py": THEIRS,
        "test_theirs.py": USE.format(module="contract_tests"),
    },
    "a module pytest_plugin": {
        "pytest_plugin.py": THEIRS,
        "test_theirs.py": USE.format(module="pytest_plugin"),
    },
    "a module pytest_plugin that is a plugin": {
        "pytest_plugin.py": "import pytest\n\n@pytest.fixture\ndef theirs(): return 'theirs'\n",
        "conftest.py": 'pytest_plugins = ["pytest_plugin"]\n',
        "test_theirs.py": "def test_theirs(theirs):\n    assert theirs == 'theirs'\n",
    },
    "a module pytest_plugin below tests": {
        "tests/pytest_plugin.py": THEIRS,
        "tests/test_theirs.py": USE.format(module="pytest_plugin"),
    },
    "a folder contract_tests that is no package": {
        "contract_tests/helpers.py": THEIRS,
        "contract_tests/test_theirs.py": USE.format(module="contract_tests.helpers"),
    },
    "a module examples": {
        "examples.py": THEIRS,
        "test_theirs.py": USE.format(module="examples"),
    },
    "a folder examples that is no package": {
        "examples/model_client.py": THEIRS,
        "test_theirs.py": USE.format(module="examples.model_client"),
    },
    "a module tests": {
        "tests.py": THEIRS,
        "test_theirs.py": USE.format(module="tests"),
    },
    "a package spec": {
        "spec/__init__.py": "",
        "spec/clause.py": THEIRS,
        "test_theirs.py": USE.format(module="spec.clause"),
    },
    "a module spec": {
        "spec.py": THEIRS,
        "test_theirs.py": USE.format(module="spec"),
    },
    "a package examples": {
        "examples/__init__.py": "",
        "examples/model_client.py": THEIRS,
        "test_theirs.py": USE.format(module="examples.model_client"),
    },
    "a package tests": {
        "tests/__init__.py": "",
        "tests/clients.py": THEIRS,
        "tests/test_theirs.py": USE.format(module="tests.clients"),
    },
    "a package pytest_plugin": {
        "pytest_plugin/__init__.py": THEIRS,
        "pytest_plugin/plugin.py": "raise RuntimeError('nobody asked for it')\n",
        "test_theirs.py": USE.format(module="pytest_plugin"),
    },
}
CLIENT = """
import requests

class Client:
    def __init__(self, config):
        self.config = config

    def get_token(self):
        credentials = (self.config.client_id, self.config.client_secret)
        answer = requests.get(self.config.token_url, auth=credentials, timeout=5)
        return answer.json()["access_token"]

make_client = Client
"""
"""A client of the project's, which asks for a token by GET; none of ours does."""

CLIENTS: dict[str, dict[str, str]] = {
    "contract_tests.acme": {"contract_tests/__init__.py": "", "contract_tests/acme.py": CLIENT},
    "pytest_plugin": {"pytest_plugin.py": CLIENT},
    "tests.clients": {"tests/clients.py": CLIENT},
    "examples.model_client": {"examples/__init__.py": "", "examples/model_client.py": CLIENT},
    "examples/model_client.py": {"examples/model_client.py": CLIENT},
    "spec": {"spec.py": CLIENT},
}
"""Projects that keep a client in a module with a name of ours, by the target to check."""


def make_project(name: str, folder: Path) -> None:
    """Write the files of a project, and a test of its own that uses our fixture."""
    write_files(folder, {**PROJECTS[name], "test_ours.py": BROKER})


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write files, by their path in the folder."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
