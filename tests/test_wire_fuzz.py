"""Streams of hostile bytes by a seed; `tox -e attack` tries a million of them."""

from __future__ import annotations

import pytest

from mockbroker.server.wire import Connection
from tests.wire_fuzz import MalformedError, fuzz_in_process, fuzz_sockets, responses_in

SEEDS = range(10)
STREAMS = {"in process": (fuzz_in_process, 2_000), "on sockets": (fuzz_sockets, 400)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", STREAMS)
def test_no_stream_of_bytes_confuses_the_broker(place, seed, record_property):
    fuzz, count = STREAMS[place]
    tally = fuzz(seed, count)
    record_property("wire_fuzz", f"{place}, seed {seed}: {tally}")
    assert tally.violations == []
    assert tally.streams == count
    assert {200, 400, 401, 404, 405} <= set(tally.statuses)


@pytest.mark.parametrize("fuzz", [fuzz_in_process, fuzz_sockets])
def test_a_few_streams_do_not_either(fuzz):
    tally = fuzz(1000, 200)
    assert (tally.streams, tally.violations) == (200, [])


def test_the_fuzz_finds_a_wire_layer_that_swallows_refusals(monkeypatch):
    monkeypatch.setattr(Connection, "_refuse", lambda *_: None)
    assert any("no answer" in text for text in fuzz_in_process(0, 100).violations)


def test_the_fuzz_finds_an_exception(monkeypatch):
    monkeypatch.setattr(Connection, "_linger", lambda _: 1 / 0)
    assert any("ZeroDivisionError" in text for text in fuzz_in_process(0, 100).violations)


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", [200]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 4", MalformedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", MalformedError),
        (b"HTTP/1.1 200 OK\r\n\r\n", MalformedError),
        (b"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n", MalformedError),
    ],
)
def test_responses_are_read_strictly(data, statuses):
    if isinstance(statuses, list):
        assert responses_in(data, lambda _: False) == statuses
    else:
        with pytest.raises(statuses):
            responses_in(data, lambda _: False)
