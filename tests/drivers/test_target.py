"""A TARGET names a factory of clients; what is wrong with one is a sentence."""

from __future__ import annotations

import sys

import pytest

from mockbroker_contract.drivers.target import TargetError, load_target

FILES = {
    "acme.py": "class Clients:\n    @staticmethod\n    def of(config): return config",
    "needs_more.py": "import no_such_module",
    "exits.py": "import sys; sys.exit('bye')",
    "no_factory.py": "x = 1",
    "not_callable.py": "make_client = 'client'",
    "json.py": "def make_client(config): return 'the one of the file'",
    "with-dash.py": "def make_client(config): return config",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    # Loading a file puts its folder there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "name"), [("acme.py:Clients.of", "acme"), ("acme:Clients.of", "acme")]
)
def test_a_factory_is_found_by_file_or_module(target, name, monkeypatch):
    monkeypatch.syspath_prepend(".")
    found = load_target(target)
    assert (found.factory("config"), found.name) == ("config", name)


@pytest.mark.parametrize("target", ["json.py", "with-dash.py"])
def test_a_file_whose_name_no_module_can_have_is_found(target):
    expected = {"json.py": "the one of the file", "with-dash.py": "config"}
    assert load_target(target).factory("config") == expected[target]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gone.py", r"file 'gone\.py' does not exist"),
        ("folder/acme", "neither a .py file nor a module's dotted name"),
        ("acme.py:", "TARGET 'acme.py:' is incomplete"),
        (f"{'x' * 5000}.py", "does not exist"),
        ("needs_more.py", r"cannot be imported: ModuleNotFoundError: .* \(needs_more\.py:1 in"),
        ("exits.py", "cannot be imported: SystemExit: bye"),
        ("no.such:factory", "no.such cannot be imported: ModuleNotFoundError"),
        ("no_factory.py", "no_factory.py has no 'make_client': expected a function"),
        ("not_callable.py", "'make_client' is a str, not a callable"),
    ],
)
def test_a_wrong_target_is_one_sentence(target, message):
    with pytest.raises(TargetError, match=message) as caught:
        load_target(target)
    assert "\n" not in str(caught.value)
