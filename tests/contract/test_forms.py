"""Forms are decoded as urllib does it, whatever they hold, at a bounded cost."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.model.forms import (
    LOOKED_AT_BYTES,
    PARAMETER_LIMIT,
    body_parameters,
    json_object,
    query_parameters,
    unquoted,
    unquoted_plus,
)
from mockbroker.model.messages import Request

LIMIT_SECONDS = 2.0
"""The worst text of 64 KiB takes 0.09 s; the rest is for slow machines."""


def posted(body: bytes) -> Request:
    return Request("POST", "/token", body=body)


def test_parameters_keep_their_order_repetitions_and_blanks():
    request = posted(b"scope=&a=1&a=2&&grant_type=client+credentials&flag&b=%3D%26")
    assert body_parameters(request) == (
        ("scope", ""),
        ("a", "1"),
        ("a", "2"),
        ("grant_type", "client credentials"),
        ("flag", ""),
        ("b", "=&"),
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"a=%", "%"),
        (b"a=%zz%4", "%zz%4"),
        (b"a=%C3%A4", "ä"),
        (b"a=%ff", "\N{REPLACEMENT CHARACTER}"),
        (b"a=\xe4", "ä"),  # bytes beyond ASCII stay Latin-1
        (b"a=b=c", "b=c"),
        (b"a=b;c=d", "b;c=d"),
        (b"a=%00", "\0"),
    ],
)
def test_what_is_malformed_stays_as_it_is(body, value):
    assert body_parameters(posted(body)) == (("a", value),)


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
def test_what_is_encoded_is_decoded_again(pairs):
    encoded = urlencode(pairs, errors="replace")
    plain = [tuple(text.encode("utf-8", "replace").decode() for text in pair) for pair in pairs]
    assert list(body_parameters(posted(encoded.encode()))) == plain
    assert list(query_parameters(Request("GET", f"/?{encoded}"))) == plain


@given(st.binary())
def test_no_body_is_an_error(body):
    parameters = body_parameters(posted(body))
    assert len(parameters) <= body.count(b"&") + 1


@pytest.mark.parametrize("unit", [b"%", b"%4", b"%41", b"%ff", b"%=", b"\xe9%", b"+", b"&", b"a=&"])
def test_no_body_takes_long(unit):
    request = posted(unit * (2 * LOOKED_AT_BYTES // len(unit)))
    began = time.process_time()
    assert len(body_parameters(request)) <= PARAMETER_LIMIT
    assert time.process_time() - began < LIMIT_SECONDS


def test_only_the_first_parameters_are_read():
    parameters = body_parameters(posted(b"a=1&" * PARAMETER_LIMIT + b"grant_type=x"))
    assert parameters == (("a", "1"),) * PARAMETER_LIMIT


def test_what_lies_beyond_the_bound_of_a_body_is_not_read():
    body = b"a=" + b"b" * LOOKED_AT_BYTES + b"&grant_type=client_credentials"
    assert [name for name, _ in body_parameters(posted(body))] == ["a"]
    members = b'{"a": "' + b"b" * LOOKED_AT_BYTES + b'"}'
    assert json_object(posted(members)) is None


def test_only_a_form_turns_a_plus_into_a_space():
    assert unquoted("a+b%20c%") == "a+b c%"
    assert unquoted_plus("a+b%20c%") == "a b c%"


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b' {"a": 1}', {"a": 1}),
        (b"[1]", None),
        (b"{", None),
        (b'{"a":' * 20_000, None),
        (b"", None),
    ],
)
def test_only_a_json_object_is_read_as_one(body, members):
    assert json_object(posted(body)) == members
