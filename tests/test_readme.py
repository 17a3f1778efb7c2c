"""What the README says is so: its snippets run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mockbroker.cli.audit import audit
from mockbroker.cli.commands import cli
from mockbroker.cli.compare import compare
from mockbroker.cli.init import init
from mockbroker.cli.profiles import profiles
from pytest_mockbroker.check import check
from pytest_mockbroker.driver_test import driver_test

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
EVERYWHERE = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_recipes_run(pytester):
    recipes = ROOT / "examples" / "recipes"
    options = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", "-q")
    result = pytester.runpytest_subprocess(recipes, f"--ignore={recipes / 'apps'}", *options)
    result.assert_outcomes(passed=3)


def test_recipes_for_apps_run(pytester, monkeypatch):
    """Flask is installed always; `tox -e recipes` has the other frameworks."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider")
    apps = ROOT / "examples" / "recipes" / "apps"
    result = pytester.runpytest_subprocess(apps, "-c", apps / "pytest.ini", "-rs")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + 3 * outcomes.get("skipped", 0) == 12, result.stdout.str()


def test_commands_and_their_options_exist():
    registered = {each.name: each for each in (audit, check, compare, driver_test, init, profiles)}
    commands = {**registered, **cli.commands}
    command = r"(?:[`/]|^)mockbroker ([a-z][a-z-]*)((?: [^`\n#]*)?)"
    told = re.findall(command, EVERYWHERE, re.MULTILINE)
    assert {name for name, _ in told} == set(commands)
    for name, rest in told:
        options = [p for p in commands[name].params if isinstance(p, click.Option)]
        known = {"--help", *(name for option in options for name in option.opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name
