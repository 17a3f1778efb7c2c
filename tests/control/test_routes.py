"""The overview of a broker, masking and reset, what no route takes, and the OpenAPI document."""

from __future__ import annotations

import json

import pytest
import requests

from mockbroker import Broker, Fault, Server
from mockbroker.broker.mounting import CONTROL_PATH
from mockbroker.server.application import Mounts, create_app
from mockbroker.server.control.access import ControlAccess
from mockbroker.server.control.api import ControlApi
from mockbroker.server.control.openapi import document
from mockbroker.server.control.routes import ROUTES
from tests.control.conftest import SHOP, Caller


def test_the_overview_says_what_and_where(control):
    broker = control.broker
    overview = control.done("GET", "/")
    assert overview.keys() == control.done("GET", "").keys()
    assert overview["token_url"] == broker.token_url
    assert overview["control_url"] == broker.control_url
    assert overview["openapi_url"] == f"{broker.control_url}/openapi.json"
    assert (overview["profile"], overview["strict"]) == ("autograb", True)
    assert control.done("GET", "/health") == {"status": "ok"}
    ready = control.done("GET", "/ready")
    assert ready == {
        "ready": True,
        "token_url": broker.token_url,
        "api_url": broker.api_url,
        "ca_file": None,
    }


def test_control_requests_are_not_in_the_journal_and_no_fault_applies_to_them(control):
    control.broker.script(Fault.status(503))
    control.broker.api_script(Fault.reset(), Fault.delay(60))
    for path in ("/", "/journal", "/nonsense", "/health"):
        control("GET", path)
    assert control.broker.journal.total == 0
    assert control.done("GET", "/")["fault_count"] == 1
    assert control.done("GET", "/")["api_fault_count"] == 2


def test_a_broker_below_a_prefix_has_its_control_api_there():
    one, other = Broker(credentials=SHOP), Broker(credentials=SHOP)
    with Server() as server:
        for prefix, broker in {"/one": one, "/other": other}.items():
            server.mount(broker, prefix)
            server.mount_control(broker, prefix)
        Caller(one).done("PATCH", "/settings", {"expires_in": 7})
        assert (one.expires_in, other.expires_in) == (7, 3599)
        server.unmount("/one")
        url = f"{server.origin}/one/__mockbroker__/health"
        assert requests.get(url, timeout=5).status_code == 404
        assert Caller(other).done("GET", "/health") == {"status": "ok"}


def test_a_string_is_masked(control):
    text = f"secret {SHOP.client_secret}, token {control.token()}"
    assert control.done("POST", "/mask", {"text": text}) == {
        "text": "secret <secret>, token <token>"
    }


def test_a_reset_forgets_everything_but_the_log_of_those_that_watch(control):
    seen = []
    control.broker.journal.subscribe(seen.append)
    control.broker.journal.subscribe(seen.append, survives_reset=True)
    control.token()
    control.done("POST", "/clients", {})
    control.done("POST", "/faults/token", {"faults": [{"status": 503}]})
    control.done("POST", "/clock/advance", {"seconds": 3600})
    overview = control.done("POST", "/reset")
    assert (overview["exchange_count"], overview["fault_count"]) == (0, 0)
    assert control.done("GET", "/tokens")["total"] == 0
    assert len(control.done("GET", "/clients")["clients"]) == 1
    control.token()
    assert [exchange.number for exchange in seen] == [1, 1, 1]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/token", 404, "did you mean '/tokens'?"),
        ("GET", "/clients/%ff", 404, "unknown path"),
        ("GET", "//clock", 404, "unknown path"),
        ("POST", "/clock", 405, "use GET, PUT, HEAD"),
        ("POST", "/openapi.json", 405, "use GET, HEAD"),
        ("GET", "/health?x=1", 422, "has no parameters"),
        ("POST", "/reset?x=1", 422, "has no parameters"),
    ],
)
def test_an_unknown_path_or_method_says_what_there_is(control, method, path, status, message):
    assert message in control.refused(method, path, None, status)


def test_a_body_that_is_not_json_is_refused_without_being_quoted(control):
    url, headers = f"{control.broker.control_url}/mask", {"Content-Type": "application/json"}
    for data in (b'{"text": secret}', b"\xff", b"[" * 100_000, b'{"text": "\\ud800"}', b"NaN"):
        answer = requests.post(url, data, headers=headers, timeout=5)
        assert answer.status_code in (400, 422)
        assert "secret" not in answer.text


def test_a_route_without_a_body_takes_none(control):
    assert control.done("POST", "/reset", {})["exchange_count"] == 0
    assert "has no body" in control.refused("POST", "/reset", {"x": 1}, 422)


def test_head_is_get_without_a_body(control):
    for path in ("/", "/events", "/openapi.json"):
        answer = control("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_the_document_describes_every_route(control):
    served = control.done("GET", "/openapi.json")
    assert served == json.loads(document(control.broker.control_url))
    assert served["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, each in served["paths"].items() for method in each
    }
    assert described == {(route.method, route.path) for route in ROUTES} | {
        ("GET", "/openapi.json")
    }
    names = [each["operationId"] for path in served["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    assert served["servers"] == [{"url": control.broker.control_url}]


def test_another_wsgi_server_has_the_control_api_as_well():
    broker = Broker(credentials=SHOP)
    mounts = Mounts()
    mounts[""] = broker
    mounts[CONTROL_PATH] = api = ControlApi(broker, ControlAccess())
    broker.mounted_at("http://localhost", "")
    client = create_app(mounts).test_client()
    assert client.get("/__mockbroker__/health").get_json() == {"status": "ok"}
    foreign = client.get("/__mockbroker__/health", headers={"Host": "evil.example"})
    assert foreign.status_code == 403
    api.unmounted()
    events = client.get("/__mockbroker__/events").get_data(as_text=True)
    assert events.startswith("retry: 1000\n\nevent: hello")
    assert events.endswith("event: end\ndata: {}\n\n")
