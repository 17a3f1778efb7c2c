"""Server-sent events: everything that happens, in order, and no reader slows the broker down."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from mockbroker import Broker, Fault
from mockbroker.server.control.events import EventStream
from mockbroker.server.control.watching import Watchers
from tests.control.conftest import SHOP, Caller


class Reader:
    """The events of a stream, read one by one."""

    def __init__(self, response: requests.Response) -> None:
        assert response.headers["Content-Type"] == "text/event-stream"
        self.response = response
        self.lines = response.iter_lines(chunk_size=1, decode_unicode=True)
        self.last_id = ""

    def next(self) -> tuple[str, dict]:
        """The name and the data of the next event; beats are passed over."""
        name, data = "", ""
        for line in self.lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.last_id = value
            elif not line and name:
                return name, json.loads(data)
        raise AssertionError("the stream ended")

    def until(self, wanted: str) -> dict:
        """The data of the next event of that name."""
        while True:
            name, data = self.next()
            if name == wanted:
                return data


@contextmanager
def reading(broker: Broker, query: str = "", **headers: str) -> Iterator[Reader]:
    url = f"{broker.control_url}/events{query}"
    with requests.get(url, headers=headers, stream=True, timeout=20) as response:
        reader = Reader(response)
        assert reader.next()[0] == "hello"
        yield reader


def test_exchanges_and_tokens_come_as_they_happen(control):
    with reading(control.broker) as reader:
        token = control.token()
        name, exchange = reader.next()
        assert (name, exchange["number"], reader.last_id) == ("exchange", 1, "1")
        assert token not in json.dumps(exchange)
        assert reader.next() == (
            "token-issued",
            {"number": 1, "client_id": "shop", "expires_in": 3599, "exchange": 1},
        )
        control.vehicle(token)
        name, call = reader.next()
        assert (name, call["token_state"]) == ("exchange", "valid")


@pytest.mark.parametrize(
    ("request_", "name", "facts"),
    [
        (("POST", "/clock/advance", {"seconds": 60}), "clock-moved", {"moved_seconds": 60}),
        (("POST", "/tokens/revoke", {"all": True}), "tokens-ended", {"endings": 1}),
        (
            ("POST", "/faults/token", {"faults": [{"status": 503, "times": 2}]}),
            "faults-changed",
            {"token": 2, "api": 0},
        ),
        (("PATCH", "/settings", {"expires_in": 5}), "settings-changed", {"expires_in": 5}),
        (
            ("POST", "/clients", {"client_id": "new", "client_secret": "x"}),
            "clients-changed",
            {"client_ids": ["shop", "new"]},
        ),
        (("DELETE", "/journal", None), "journal-cleared", {}),
    ],
)
def test_each_change_is_an_event(control, request_, name, facts):
    with reading(control.broker) as reader:
        control.done(*request_)
        came, data = reader.next()
        assert came == name
        assert data | facts == data


def test_what_a_python_test_does_is_an_event_as_well(control):
    with reading(control.broker) as reader:
        control.broker.revoke_tokens()
        assert reader.next() == ("tokens-ended", {"endings": 1})
        control.broker.clock.advance(5)
        assert reader.next()[1]["moved_seconds"] == 5
        control.broker.api_script(Fault.reset())
        assert reader.next() == ("faults-changed", {"token": 0, "api": 1})


def test_a_reader_continues_where_it_was(control):
    control.token()
    control.token()
    with reading(control.broker, **{"Last-Event-ID": "1"}) as reader:
        assert reader.until("exchange")["number"] == 2
    with reading(control.broker, "?since=0") as reader:
        assert reader.until("exchange")["number"] == 1
    with reading(control.broker, **{"Last-Event-ID": "9" * 5000}) as reader:
        control.token()
        assert reader.until("exchange")["number"] == 3


def test_numbers_begin_again_after_a_reset(control):
    control.token()
    with reading(control.broker) as reader:
        control.done("POST", "/reset")
        assert reader.until("journal-cleared") == {}
        control.token()
        assert reader.until("exchange")["number"] == 1


def test_a_slow_reader_delays_nothing_and_learns_what_it_missed():
    with Broker(credentials=SHOP, journal_size=3).running() as broker:
        control = Caller(broker)
        for _ in range(10):
            control.token()
        with reading(broker, "?since=1") as reader:
            assert reader.next() == ("exchanges-missed", {"count": 6})
            assert reader.until("exchange")["number"] == 8


def test_a_reader_that_reads_nothing_does_not_block_the_broker(control):
    host, port = control.broker.control_url.split("/")[2].split(":")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sock.connect((host, int(port)))
        sock.sendall(f"GET /__mockbroker__/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        big = "x" * 15_000
        for _ in range(200):
            answer = requests.post(control.broker.token_url, big, timeout=5)
            assert answer.status_code == 400
        assert control.broker.journal.total == 200


def test_a_silent_stream_beats_so_that_a_reader_that_is_gone_is_noticed(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.control.events.BEAT_SECONDS", 0.0)
    with reading(broker) as reader:
        assert next(line for line in reader.lines if line.startswith(":")) == ": beat"


def test_a_stream_gives_its_place_up_once(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.control.watching.WATCHER_LIMIT", 1)
    watchers = Watchers(broker.journal)
    stream = EventStream(broker, watchers, None)
    stream.close()
    stream.close()
    watchers.leave(watchers.enter())
    assert watchers.wake() == 0


def test_a_stream_ends_with_the_server():
    with Broker().running() as broker:
        response = requests.get(f"{broker.control_url}/events", stream=True, timeout=20)
        reader = Reader(response)
        assert reader.next()[0] == "hello"
    with response:
        assert reader.next() == ("end", {})
        assert list(reader.lines) == []


def test_the_clock_of_a_test_needs_no_moves_to_be_seen():
    class Fixed:
        def now(self) -> float:
            return 1_000_000.0

        def advance(self, seconds: float) -> None:
            pass

    with Broker(credentials=SHOP, clock=Fixed()).running() as broker, reading(broker) as reader:
        Caller(broker).token()
        assert reader.next()[0] == "exchange"
