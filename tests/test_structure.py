"""The structure of the code: no import cycle, and no class that does too much."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import mockbroker
import mockbroker_contract
import pytest_mockbroker
from mockbroker import Broker

MAX_ATTRIBUTES = 12
SMALL_CLASSES = sorted(
    [
        *Path(mockbroker.__path__[0], "broker").glob("*.py"),
        Path(inspect.getfile(Broker)),
        *Path(mockbroker_contract.__path__[0]).rglob("*.py"),
        *Path(pytest_mockbroker.__path__[0]).glob("*.py"),
    ]
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "mockbroker", "mockbroker_contract", "pytest_mockbroker", cache_dir=None
    )


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("mockbroker", "mockbroker.model.profile"),  # under TYPE_CHECKING
        ("mockbroker.fake_broker", "mockbroker.server.listener"),  # in a function
        ("mockbroker_contract.harness.recorder", "mockbroker.fake_broker"),  # across packages
    ],
)
def test_every_kind_of_import_is_in_the_graph(graph, importer, imported):
    assert graph.direct_import_exists(importer=importer, imported=imported)


def test_no_modules_import_each_other_in_a_circle(graph):
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        pytest.fail(f"these modules import each other: {cycle}")


def attributes_of(definition: ast.ClassDef) -> set[str]:
    """The attributes that a class declares, and those that its methods assign to self."""
    declared = {
        node.target.id
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assigned = {
        node.attr
        for node in ast.walk(definition)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return declared | assigned


def classes_in(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node


def is_frozen(definition: ast.ClassDef) -> bool:
    """Whether it is a value, as a record of facts is: no flag of it changes anything elsewhere."""
    decorators = [each for each in definition.decorator_list if isinstance(each, ast.Call)]
    return any(
        keyword.arg == "frozen" for call in [*decorators, definition] for keyword in call.keywords
    )


@pytest.mark.parametrize("path", SMALL_CLASSES, ids=lambda path: path.stem)
def test_a_class_has_at_most_a_dozen_attributes(path):
    counts = {
        each.name: len(attributes_of(each)) for each in classes_in(path) if not is_frozen(each)
    }
    assert {name: count for name, count in counts.items() if count > MAX_ATTRIBUTES} == {}


MODULES = sorted(
    path
    for package in (mockbroker, mockbroker_contract, pytest_mockbroker)
    for path in Path(package.__path__[0]).rglob("*.py")
)


def test_what_coverage_leaves_out_has_a_reason():
    pragmas = [
        line
        for path in MODULES
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pragma:" in line.lower()
    ]
    assert pragmas
    reasoned = re.compile(r"# pragma: no (cover|branch) - \w+ \w+")
    assert [line for line in pragmas if not reasoned.search(line)] == []
