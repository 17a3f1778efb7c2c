"""A line that a driver writes is an answer, or an error that says what was expected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.report.steps import Place
from mockbroker_contract.drivers.protocol import Hello, ProtocolError, Reply, read_reply

HELLO = {"name": "n", "version": "1", "capabilities": ["clock", "get_token", "request"]}
OPERATIONS = ["hello", "open", "get_token", "request", "burst", "bye"]


def answer(op: str, **outcome: Any) -> Reply:
    return read_reply(json.dumps({"id": 3, **outcome}).encode(), 3, op)


def error_of(op: str, **outcome: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        answer(op, **outcome)
    return str(caught.value)


@pytest.mark.parametrize(
    ("op", "ok", "value"),
    [
        ("hello", HELLO, Hello("n", "1", ("get_token", "request", "clock"))),
        ("get_token", {"access_token": "t", "more": 1}, "t"),
        ("get_token", {"access_token": None}, None),
        ("get_token", {"access_token": "\ud800"}, "\ud800"),
        ("burst", {"access_tokens": ["t", 5]}, ["t", 5]),
        ("request", {"status": 204}, 204),
        ("open", {}, {}),
        ("close", "anything", "anything"),
    ],
)
def test_an_answer_has_the_value_of_its_operation(op, ok, value):
    assert answer(op, ok=ok) == Reply(value)


def test_an_operation_may_be_unsupported():
    assert answer("burst", unsupported=True) == Reply(is_unsupported=True)


def test_an_error_of_the_client_has_its_texts():
    error = answer("get_token", err={"kind": "oauth", "code": "invalid_client"}).error
    assert error is not None
    assert (error.message, error.texts) == (
        "oauth: invalid_client",
        ("oauth", "invalid_client"),
    )
    assert (error.place, error.traceback) == (None, "")
    error = answer("get_token", err={"kind": "http", "code": None, "message": "502"}).error
    assert str(error) == "http: 502"


def test_an_error_of_the_client_may_have_its_line_and_its_traceback():
    place = {"file": "acme.js", "line": 12, "function": "getToken", "column": 3}
    err = {"kind": "transport", "place": place, "traceback": "at getToken"}
    error = answer("request", err=err).error
    assert error is not None
    assert error.place == Place(file="acme.js", line=12, function="getToken")
    assert error.traceback == "at getToken"
    error = answer("request", err={"kind": "http", "place": {"file": "a.go", "line": 1}}).error
    assert error is not None
    assert error.place == Place(file="a.go", line=1)


@pytest.mark.parametrize(
    ("op", "outcome", "message"),
    [
        ("request", {"ok": "t0ken"}, "request: ok: expected an object, got a string"),
        ("request", {"ok": {}}, "request: ok: status is missing"),
        ("request", {"ok": {"code": 200}}, "request: ok: status is missing; found code"),
        ("request", {"ok": {"status": "t0ken"}}, "ok.status: expected an integer, got a string"),
        ("request", {"ok": {"status": True}}, "ok.status: expected an integer, got true or false"),
        ("request", {"ok": {"status": None}}, "ok.status: expected an integer, got null"),
        ("get_token", {"ok": {"token": "t0ken"}}, "access_token is missing; found token"),
        ("get_token", {"ok": ["t0ken"]}, "get_token: ok: expected an object, got a list"),
        ("burst", {"ok": {"access_tokens": "t0ken"}}, "expected a list, got a string"),
        (
            "request",
            {"err": {"kind": "http", "place": {"file": "a.go", "line": "1"}}},
            "err.place.line: expected an integer, got '1'",
        ),
        ("hello", {"ok": {**HELLO, "version": 1}}, "hello: ok.version: expected a string, got 1"),
        (
            "hello",
            {"ok": {**HELLO, "capabilities": ["get_token", "bursts"]}},
            "capabilities[1]: expected 'get_token', 'request', 'burst' or 'clock', got 'bursts';",
        ),
        ("hello", {"ok": {**HELLO, "capabilities": "clock"}}, "expected a list, got 'clock'"),
        ("hello", {"ok": {**HELLO, "capabilities": ["clock"]}}, "neither get_token nor request"),
        ("hello", {"ok": {**HELLO, "capabilities": ["request", "burst"]}}, "without get_token"),
        ("get_token", {"err": "no"}, "get_token: err: expected an object, got 'no'"),
        ("get_token", {"err": {}}, "get_token: err: kind is missing"),
        ("get_token", {"err": {"kind": "oath"}}, "got 'oath'; did you mean 'oauth'?"),
        ("get_token", {"err": {"kind": "http", "code": 5}}, "code: expected a string or null"),
        (
            "get_token",
            {"err": {"kind": "internal", "code": "E1", "message": "no library"}},
            "the driver failed at get_token: E1 no library",
        ),
        ("open", {}, "the answer to open has no outcome; expected exactly one of ok, err, "),
        ("open", {"ok": {}, "err": {}}, "the answer to open has ok and err; expected exactly"),
    ],
)
def test_a_malformed_answer_is_an_error_that_says_what_was_expected(op, outcome, message):
    text = error_of(op, **outcome)
    assert message in text
    assert "t0ken" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"fetching a token...", 'stdout has "fetching a token...", which is not JSON; stdout is'),
        (b"[" * 200_000, "which is not JSON"),
        (b"[1]", "stdout has [1]; expected a JSON object"),
        (b'{"id": 4, "ok": {}}', "the answer to open has id 4; expected 3"),
        (b"{}", "the answer to open has id null; expected 3"),
    ],
)
def test_a_line_that_is_not_an_answer_is_an_error(line, message):
    with pytest.raises(ProtocolError) as caught:
        read_reply(line, 3, "open")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


_TEXTS = st.sampled_from(["", "http", "t0ken", "\x1b\n", "\ud800"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner),
    max_leaves=4,
)
_KEYS = st.sampled_from(["ok", "err", "unsupported", "status", "access_token", "kind", "name"])


@given(op=st.sampled_from(OPERATIONS), outcome=st.dictionaries(_KEYS, _JSON))
def test_any_line_is_an_answer_or_a_protocol_error(op, outcome):
    try:
        assert isinstance(answer(op, **outcome), Reply)
    except ProtocolError as error:
        text = str(error)
        assert "expected" in text or "the driver failed" in text or "is missing" in text
