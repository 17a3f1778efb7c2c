"""The routes for scripted faults, delayed answers and connections."""

from __future__ import annotations

import threading
import time

import pytest
import requests

from mockbroker import Broker
from tests.broker.wires import connect, read_answer, token_request
from tests.control.conftest import SHOP, Caller


def test_faults_apply_in_order_and_are_listed_until_then(control):
    faults = [{"status": 503, "retry_after": 5, "times": 2}, {"reset": True}]
    listed = control.done("POST", "/faults/token", {"faults": faults})
    assert [each["description"] for each in listed["token"]] == ["status 503", "reset"]
    assert listed["token"][0]["times"] == 2
    answer = control.token_answer()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert control.done("GET", "/faults")["token"][0]["times"] == 1
    assert control.token_answer().status_code == 503
    with pytest.raises(requests.ConnectionError):
        control.token_answer()
    assert control.done("GET", "/faults") == {"token": [], "api": []}
    assert control.token_answer().status_code == 200


def test_faults_of_the_api_are_a_script_of_their_own_and_can_be_cleared(control):
    token = control.token()
    control.done("POST", "/faults/api", {"faults": [{"status": 429}, {"status": 500}]})
    assert control.vehicle(token).status_code == 429
    assert control.done("DELETE", "/faults") == {"token": [], "api": []}
    assert control.vehicle(token).status_code == 200


def test_connections_are_refused_for_some_seconds(control):
    faults = {"faults": [{"status": 503}, {"refuse_seconds": 0.3}]}
    control.done("POST", "/faults/token", faults)
    assert control.token_answer().status_code == 503
    refused = 0
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            answer = control.token_answer()
        except requests.ConnectionError:
            refused += 1
            continue
        break
    assert refused
    assert answer.status_code == 200
    assert control.done("GET", "/faults") == {"token": [], "api": []}


def test_a_refusal_that_is_cleared_before_its_turn_never_comes(control):
    control.done("POST", "/faults/token", {"faults": [{"status": 503}, {"refuse_seconds": 60}]})
    (waiting,) = [t for t in threading.enumerate() if t.name == "mockbroker-refusal"]
    control.done("DELETE", "/faults")
    waiting.join(20)
    assert not waiting.is_alive()
    assert control.token_answer().status_code == 200
    assert control.token_answer().status_code == 200


def test_a_refusal_that_waits_for_its_turn_ends_with_the_server():
    with Broker(credentials=SHOP).running() as broker:
        faults = {"faults": [{"status": 503}, {"refuse_seconds": 60}]}
        Caller(broker).done("POST", "/faults/token", faults)
        (waiting,) = [t for t in threading.enumerate() if t.name == "mockbroker-refusal"]
    waiting.join(20)
    assert not waiting.is_alive()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"statuss": 503}, "faults[1]: unknown key 'statuss'; did you mean 'status'?"),
        ({"status": "503"}, "faults[1].status: expected a status from 200 to 599"),
        ({"status": 700}, "got 700"),
        ({"compressed": "gzp"}, "did you mean 'gzip'?"),
        ({"reset": True, "chunked": True}, "faults[1]: reset and chunked contradict"),
        ({}, "faults[1]: a fault needs an effect"),
        ({"times": 0, "status": 500}, "faults[1].times"),
        (503, "faults[1]: expected an object, got 503"),
    ],
)
def test_a_script_with_a_mistake_is_not_applied_in_part(control, fault, message):
    body = {"faults": [{"status": 503}, fault]}
    assert message in control.refused("POST", "/faults/token", body, 422)
    assert control.done("GET", "/faults")["token"] == []


def test_a_refusal_must_be_the_last_fault(control):
    body = {"faults": [{"refuse_seconds": 1}, {"status": 503}]}
    assert "must be the last" in control.refused("POST", "/faults/token", body, 422)


def test_a_delayed_answer_can_be_released(control):
    control.done("POST", "/faults/token", {"faults": [{"delay_seconds": 3600}]})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(control.token_answer()))
    thread.start()
    control.done("POST", "/journal/wait", {"method": "POST"})
    assert Caller(control.broker).done("POST", "/release") == {"done": True}
    thread.join(10)
    assert [answer.status_code for answer in answers] == [200]


def test_idle_connections_can_be_closed(control):
    with connect(control.broker) as sock:
        sock.sendall(token_request(control.broker))
        assert read_answer(sock)
        assert control.done("POST", "/connections/close-idle") == {"done": True}
        assert sock.recv(1) == b""
