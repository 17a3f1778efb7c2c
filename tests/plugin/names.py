"""Projects whose own modules have the names of packages of ours."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PROJECTS", "make_project"]

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


def make_project(name: str, folder: Path) -> None:
    """Write the files of a project, and a test of its own that uses our fixture."""
    for path, text in {**PROJECTS[name], "test_ours.py": BROKER}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
