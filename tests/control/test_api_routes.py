"""Routes of the protected API, added by the control API."""

from __future__ import annotations

import pytest

from mockbroker import Broker
from tests.control.conftest import Caller
from tests.redis_server import redis_running

ROUTE = {"method": "get", "path": "/vehicle/{id}", "json": {"id": 7}, "headers": {"X-Kind": "car"}}


def test_a_route_answers_until_it_is_removed(control):
    value = control.token()
    sample = control.vehicle(value).json()
    shown = {"method": "GET", "path": "/vehicle/{id}", "scopes": [], "calls": 0}
    assert control("POST", "/api/routes", ROUTE).status_code == 201
    assert control.done("GET", "/api/routes") == {"routes": [shown]}
    answer = control.vehicle(value)
    assert (answer.status_code, answer.json(), answer.headers["X-Kind"]) == (200, {"id": 7}, "car")
    changed = {**ROUTE, "status": 204, "json": None, "headers": {}, "scopes": ["read"]}
    routes = control.done("POST", "/api/routes", changed)["routes"]
    assert routes == [{**shown, "scopes": ["read"]}]
    assert control.vehicle(value).status_code == 403
    name = {"method": "GET", "path": "/vehicle/{id}"}
    assert control.done("POST", "/api/routes/remove", name) == {"routes": []}
    assert control.vehicle(value).json() == sample
    assert "no route GET" in control.refused("POST", "/api/routes/remove", name, 404)
    control.done("POST", "/api/routes", ROUTE)
    assert control.done("DELETE", "/api/routes") == {"routes": []}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"method": "G T"}, "method"),
        ({"path": "vehicle"}, "begins with a slash"),
        ({"path": "/{id"}, "/{id"),
        ({"status": 99}, "status must be"),
        ({"headers": {"a b": "c"}}, "a b"),
        ({"scopes": "read"}, "scopes"),
        ({"jsn": 1}, "jsn"),
    ],
)
def test_a_mistake_in_a_route_is_named(control, wrong, expected):
    assert expected in control.refused("POST", "/api/routes", {**ROUTE, **wrong}, 422)
    assert control.done("GET", "/api/routes") == {"routes": []}


def test_processes_that_share_the_state_have_no_routes_by_request(tmp_path):
    with (
        redis_running(tmp_path) as redis,
        Broker(state=redis.new_url()).running() as broker,
    ):
        control = Caller(broker)
        name = {"method": "GET", "path": "/vehicle/{id}"}
        for method, path, body in [
            ("POST", "/api/routes", ROUTE),
            ("POST", "/api/routes/remove", name),
            ("DELETE", "/api/routes", None),
        ]:
            assert "routes of its own" in control.refused(method, path, body, 409)
        assert control.done("GET", "/api/routes") == {"routes": []}
