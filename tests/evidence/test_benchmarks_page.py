"""The page of figures shows the stored results, names every command, and is not old."""

from __future__ import annotations

import configparser
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.page import PAGE, page
from benchmarks.parts import PARTS
from benchmarks.power import PICTURE
from benchmarks.power_curve import Curve, drawn
from benchmarks.results import Table, read_result

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
RERUN = "run `tox -e bench`, or `python -m benchmarks PART` for one part"


def minor_version(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def releases_between(old: str, new: str) -> float:
    """How many minor releases lie between; infinitely many between major ones."""
    (old_major, old_minor), (new_major, new_minor) = minor_version(old), minor_version(new)
    return new_minor - old_minor if old_major == new_major else float("inf")


def test_the_page_shows_the_stored_results():
    picture = PICTURE.read_text(encoding="utf-8")
    is_current = PAGE.read_text(encoding="utf-8") == page()
    assert is_current, "docs/benchmarks.md is stale: run `python -m benchmarks --page-only`"
    # The picture is drawn with the page.
    assert PICTURE.read_text(encoding="utf-8") == picture


@pytest.mark.parametrize("name", PARTS)
def test_no_figure_is_older_than_the_code_by_more_than_a_release(name):
    result = read_result(name)
    assert result is not None, f"{name} was never measured: {RERUN}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert releases_between(result.version, project["version"]) <= 1, RERUN


def test_a_major_release_makes_figures_old():
    assert releases_between("0.1.0", "0.2.5") == 1
    assert releases_between("0.1.9", "0.3.0") == 2
    assert releases_between("0.9.0", "1.0.0") > 1


def test_the_page_names_every_command_that_measures():
    text = PAGE.read_text(encoding="utf-8")
    assert "`tox -e bench`" in text
    for part in PARTS.values():
        assert f"`{part.command}`" in text
        result = read_result(part.name)
        assert result is not None
        assert f"Measured on {result.date} with mockbroker {result.version}" in " ".join(
            text.split()
        )
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    measuring = [
        line for line in tox["testenv:bench"]["commands"].splitlines() if line.startswith("python ")
    ]
    assert measuring == ["python -m benchmarks --npm {env_tmp_dir} {posargs}"]


@pytest.mark.parametrize("name", PARTS)
def test_each_part_has_a_module_that_measures_it(name):
    assert find_spec(f"benchmarks.{name}") is not None
    # Others import what only `tox -e bench` installs.
    if name != "servers":
        assert callable(import_module(f"benchmarks.{name}").measure)


def test_a_table_shows_three_digits_that_count():
    table = Table(("what", "µs"), (("a", 1.2345), ("b", 12.345), ("c", 12345.6), ("d", 1000)))
    assert table.markdown.splitlines()[2:] == [
        "| a | 1.23 |",
        "| b | 12.3 |",
        "| c | 12,346 |",
        "| d | 1,000 |",
    ]


def test_the_picture_has_a_step_for_each_mutant_that_was_killed():
    curves = (Curve("default", (0.1, 1.0, 2.0)), Curve("random", (3.0,)))
    root = ElementTree.fromstring(drawn(curves, count=4))  # noqa: S314 - our own text
    lines = [each.get("d", "") for each in root if each.get("stroke-width") == "2"]
    assert [line.count("V") for line in lines] == [3, 0, 1, 0]
    assert [curve.kills_within(2) for curve in curves] == [3, 0]
