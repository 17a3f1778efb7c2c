"""No request of up to 1 MiB takes the broker long.

The bounds are generous, for slow machines; docs/benchmarks.md has the figures.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.worst_requests import processor_seconds, serving_broker, worst_requests

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
