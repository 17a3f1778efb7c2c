"""The signatures in the guide on the fixture are those of the methods."""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path

import pytest

from mockbroker import ApiRoutes, Broker, Clock, Journal

GUIDE = (Path(__file__).parents[1] / "docs" / "in-tests.md").read_text(encoding="utf-8")
OWNERS = {"": Broker, "journal.": Journal, "api.": ApiRoutes, "clock.": Clock}
SECTION = GUIDE.partition("The methods, with their parameters:")[2].partition("A marker")[0]
CALLS = re.findall(r"`((?:\w+\.)?)(\w+)(\([^`]*\))`", SECTION)


def spelled(parameter: inspect.Parameter) -> str:
    """A parameter as the guide has it: without its type, a member of an enum by its name."""
    text = str(parameter.replace(annotation=inspect.Parameter.empty))
    if isinstance(parameter.default, enum.Enum):
        kind = type(parameter.default).__name__
        return f"{parameter.name}={kind}.{parameter.default.name}"
    return text


def signature(function: object) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]  # type: ignore[arg-type]
    parts = [spelled(each) for each in parameters]
    named = [p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters]
    if True in named:
        parts.insert(named.index(True), "*")
    return f"({', '.join(parts)})"


@pytest.mark.parametrize(("owner", "name", "written"), CALLS, ids=lambda part: part or "broker")
def test_the_guide_has_the_signature_of_each_method(owner, name, written):
    assert written == signature(getattr(OWNERS[owner], name))


def test_the_guide_has_the_methods_that_tests_use():
    assert {"register", "script", "travel", "route", "assert_seen", "assert_conforms"} <= {
        name for _, name, _ in CALLS
    }
