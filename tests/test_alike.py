"""The list of slow tests that reach nothing of their own names tests that exist."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import LISTED, ROOT

NAMED = sorted({line.partition("[")[0] for line in LISTED["alike"] if not line.startswith("#")})


@pytest.mark.parametrize("name", NAMED)
def test_a_test_of_the_list_exists(name):
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
