"""The page on the control API has every route, every key of a fault, and every event."""

from __future__ import annotations

import re
from pathlib import Path

from mockbroker.server.control.events import EVENTS
from mockbroker.server.control.fault_body import FaultBody
from mockbroker.server.control.routes import ROUTES
from mockbroker.server.control.values import ExpectBody, SettingsBody, WaitBody

PAGE = (Path(__file__).parents[2] / "docs" / "control-api.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| (`.+?) \| (.*) \|$", section(title), re.MULTILINE)


def test_every_route_is_on_the_page():
    named = [first.strip("`") for first, _ in rows("All routes")]
    routes = [f"{route.method} {route.path}" for route in ROUTES]
    assert sorted(named) == sorted([*routes, "GET /openapi.json"])


def test_every_key_of_the_long_bodies_is_on_the_page():
    text = section("All routes")
    keys = {*SettingsBody.__struct_fields__, *ExpectBody.__struct_fields__}
    assert [key for key in (*keys, *WaitBody.__struct_fields__) if f"`{key}`" not in text] == []


def test_every_key_of_a_fault_is_on_the_page():
    text = section("Faults")
    assert [key for key in FaultBody.__struct_fields__ if f"`{key}`" not in text] == []


def test_every_event_is_on_the_page():
    assert [first.strip("`") for first, _ in rows("Events")] == list(EVENTS)
