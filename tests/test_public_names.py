"""What the packages promise to hold, they hold; and importing them costs nothing."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mockbroker
import mockbroker_contract
import pytest_mockbroker

MODULES = [
    module.name
    for package in (mockbroker, mockbroker_contract, pytest_mockbroker)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["mockbroker", *MODULES])
def test_what_a_module_promises_it_holds(name):
    module = importlib.import_module(name)
    missing = [
        promised for promised in getattr(module, "__all__", ()) if not hasattr(module, promised)
    ]
    assert missing == []


def test_the_package_promises_no_other_name():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        str(mockbroker.nonsense)


def test_the_page_of_the_interface_has_every_name():
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    for name in mockbroker.__all__:
        first_line = (inspect.getdoc(getattr(mockbroker, name)) or "").splitlines()[0]
        assert f"| `{name}` | {first_line} |" in page
        assert re.search(rf"^\.\. auto\w+:: {name}$", page, re.MULTILINE)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, mockbroker; print(*{'flask', 'h11', 'click', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603
    assert done.stdout.strip() == b""
