"""Faults as JSON: each has its object, they compose, and a mistake is one sentence."""

from __future__ import annotations

import pytest

from mockbroker import Fault
from mockbroker.model.type_words import JSON
from mockbroker.model.typed_reading import read
from mockbroker.server.control.fault_body import FaultBody, FaultError, body_of, fault_of

SAME = {
    "status": (
        {"status": 503, "retry_after": 5, "times": 2},
        Fault.status(503, retry_after=5).times(2),
    ),
    "body": (
        {"status": 500, "body": "down", "headers": {"X-A": ["1", "2"], "X-B": "3"}},
        Fault.status(500, body="down", headers=[("X-A", "1"), ("X-A", "2"), ("X-B", "3")]),
    ),
    "members of a body": (
        {"status": 400, "body": {"error": "invalid_scope"}},
        Fault.status(400, body={"error": "invalid_scope"}),
    ),
    "bytes": ({"status": 200, "body_base64": "/wA="}, Fault.status(200, body=b"\xff\x00")),
    "redirect": (
        {"redirect": "http://localhost:1/x"},
        Fault.redirect("http://localhost:1/x"),
    ),
    "redirect with a status": (
        {"redirect": "http://localhost:1/x", "status": 302},
        Fault.redirect("http://localhost:1/x", 302),
    ),
    "delay": (
        {"delay_seconds": 2, "status": 500},
        Fault.delay(2) & Fault.status(500),
    ),
    "latency": ({"latency_seconds": 2}, Fault.latency(2)),
    "stall": ({"stall_seconds": 60}, Fault.stall(60)),
    "drip": ({"drip_seconds": 5}, Fault.drip(5)),
    "reset": ({"reset": True, "times": 3}, Fault.reset().times(3)),
    "refuse": ({"refuse_seconds": 5}, Fault.refuse()),
    "cut short": ({"cut_short": True}, Fault.cut_short()),
    "chunked": ({"chunked": True, "delay_seconds": 1}, Fault.chunked() & Fault.delay(1)),
    "close-delimited": ({"close_delimited": True}, Fault.close_delimited()),
    "token_flaw": ({"token_flaw": "key"}, Fault.flawed_token("key")),
    "compressed": ({"compressed": "gzip"}, Fault.compressed("gzip")),
    "invalid JSON": ({"invalid_json": True}, Fault.invalid_json()),
    "members": (
        {"members": {"token_type": "mac"}, "omit": ["expires_in"]},
        Fault.members(omit=["expires_in"], token_type="mac"),
    ),
    "content type": ({"content_type": "text/html"}, Fault.content_type("text/html")),
}


def body(value: dict) -> FaultBody:
    return read(value, FaultBody, "", wording=JSON)


@pytest.mark.parametrize(("value", "fault"), SAME.values(), ids=SAME)
def test_an_object_is_the_fault(value, fault):
    assert fault_of(body(value)) == fault


@pytest.mark.parametrize(
    "fault",
    [fault for name, (_, fault) in SAME.items() if name != "refuse"],
    ids=[name for name in SAME if name != "refuse"],
)
def test_a_fault_is_shown_as_the_object_that_makes_it(fault):
    assert fault_of(body_of(fault)) == fault


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "a fault needs an effect"),
        ({"times": 2}, "a fault needs an effect"),
        ({"body": "down"}, "body needs a status"),
        ({"retry_after": 5}, "retry_after needs a status"),
        ({"headers": {"A": "b"}}, "headers needs a status"),
        ({"status": 500, "body": "a", "body_base64": "YQ=="}, "contradict"),
        ({"status": 500, "body_base64": "not Base64"}, "not valid Base64"),
        ({"reset": True, "cut_short": True}, "reset and cut_short contradict"),
        ({"status": 500, "headers": {"A": "b\nc"}}, "not a valid value"),
        ({"redirect": "http://x/", "status": 200}, "status of a redirect"),
        ({"content_type": "a\nb"}, "not a valid value"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(value, message):
    with pytest.raises(FaultError, match=message):
        fault_of(body(value))
