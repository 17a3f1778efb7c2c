"""No request of up to 1 MiB takes the broker long.

The bounds are generous, for slow machines; `benchmarks/worst_requests.py` has the figures.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.worst_requests import processor_seconds, serving_broker, worst_requests
from mockbroker.model.forms import (
    LOOKED_AT_BYTES,
    body_parameters,
    json_object,
    unquoted,
    unquoted_plus,
)
from mockbroker.model.messages import Request

LIMIT_SECONDS = 1.0
REQUESTS = worst_requests()
FORMERLY_SLOW = [
    "body, token: percent signs",
    "blanks before a zero byte",
    "chunks of one byte",
    "a chunk extension",
    "blanks in trailers",
]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving_broker() as served:
        yield served


@pytest.mark.parametrize("name", FORMERLY_SLOW)
def test_what_took_seconds_does_not(address, name):
    seconds, answer = processor_seconds(address, REQUESTS[name])
    assert seconds < LIMIT_SECONDS
    assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_every_kind_is_answered_soon(address, name):
    seconds, answer = processor_seconds(address, REQUESTS[name])
    assert seconds < LIMIT_SECONDS
    assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))


@given(st.text(st.sampled_from("%0123456789abcdefABCDEFgä+&= ")))
def test_percent_decoding_is_as_urllib_does_it(text):
    assert unquoted(text) == urllib.parse.unquote(text)
    assert unquoted_plus(text) == urllib.parse.unquote_plus(text)


def test_what_lies_beyond_the_bound_of_a_body_is_not_read():
    body = b"a=" + b"b" * LOOKED_AT_BYTES + b"&grant_type=client_credentials"
    assert [name for name, _ in body_parameters(Request("POST", "/", body=body))] == ["a"]
    members = b'{"a": "' + b"b" * LOOKED_AT_BYTES + b'"}'
    assert json_object(Request("POST", "/", body=members)) is None
