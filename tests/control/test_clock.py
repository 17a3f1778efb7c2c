"""The routes for the clock of a broker."""

from __future__ import annotations

import pytest


def test_the_clock_moves_forward_and_tokens_expire(control):
    token = control.token()
    before = control.done("GET", "/clock")["now"]
    assert control.vehicle(token).status_code == 200
    after = control.done("POST", "/clock/advance", {"seconds": 3600})
    assert 3600 <= after["now"] - before < 3610
    assert control.vehicle(token).status_code == 401


@pytest.mark.parametrize(
    "moment", [4102444800, "2100-01-01T00:00:00Z", "2100-01-01", "2100-01-01T01:00:00+01:00"]
)
def test_the_clock_can_be_set(control, moment):
    clock = control.done("PUT", "/clock", {"now": moment})
    assert clock["iso"].startswith("2100-01-01T00:00:0")


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("PUT", "/clock", {"now": 5}, (409, "never goes back")),
        ("PUT", "/clock", {"now": "yesterday"}, (422, "now: expected Unix seconds or ISO 8601")),
        ("PUT", "/clock", {"now": 1e300}, (422, "now: ")),
        ("POST", "/clock/advance", {"seconds": -1}, (422, "seconds: expected a number of seconds")),
        ("POST", "/clock/advance", {"seconds": "60"}, (422, "got '60'")),
        ("POST", "/clock/advance", {"seconds": True}, (422, "got true")),
        ("POST", "/clock/advance", {"second": 60}, (422, "did you mean 'seconds'?")),
        ("POST", "/clock/advance", {}, (422, "seconds is missing")),
        ("POST", "/clock/advance", [], (422, "expected an object")),
        ("POST", "/clock/advance", {"seconds": 2.53e11}, (422, "the year 9999")),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(control, method, path, body, refusal):
    status, message = refusal
    assert message in control.refused(method, path, body, status)
    assert control.token()  # the broker works as before
