"""The journal: bounded, numbered, and safe to read while it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mockbroker.broker.journal import SIZE_BYTES, Journal
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.messages import Request
from tests.broker.stores import BOTH

STORES = BOTH


@pytest.fixture
def new_journal(new_state) -> Callable[..., Journal]:
    """What makes a journal, with the limits of `Journal`."""

    def make(size: int = 1000, *, size_bytes: int = SIZE_BYTES) -> Journal:
        state = new_state(exchanges=size, size_bytes=size_bytes)
        return Journal(store=state.exchanges)

    return make


def exchange(number: int) -> Exchange:
    return Exchange(
        number=number,
        endpoint=Endpoint.API,
        origin="http://b",
        received_at=0,
        answered_at=0,
        request=Request("GET", "/"),
        response=None,
    )


def test_older_exchanges_are_dropped_and_numbers_stay(new_journal):
    journal = new_journal(2)
    for _ in range(5):
        journal.record(exchange)
    assert [e.number for e in journal] == [4, 5]
    assert (len(journal), journal.total, journal.dropped) == (2, 5, 3)
    assert journal[-1].number == 5
    assert [e.number for e in journal[:1]] == [4]


def test_it_may_grow_while_it_is_read(new_journal):
    journal = new_journal()
    journal.record(exchange)
    seen = [journal.record(exchange).number for _ in journal]
    assert seen == [2]


def test_numbers_are_given_once_from_many_threads(new_journal):
    journal = new_journal(10_000)
    threads = [
        threading.Thread(target=lambda: [journal.record(exchange) for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.number for e in journal] == list(range(1, 1601))


def test_subscribers_hear_of_each_exchange_until_they_leave(new_journal):
    journal, heard = new_journal(), []
    leave = journal.subscribe(lambda e: heard.append(e.number))
    journal.record(exchange)
    journal.clear()
    journal.record(exchange)
    leave()
    journal.record(exchange)
    assert heard == [1, 1]


def test_a_subscriber_that_fails_harms_nobody(caplog, new_journal):
    journal, heard = new_journal(), []
    journal.subscribe(lambda _: 1 / 0)
    journal.subscribe(heard.append)
    journal.record(exchange)
    assert len(heard) == 1
    assert "ZeroDivisionError" in caplog.text


def test_it_holds_at_least_one(new_journal):
    with pytest.raises(ValueError, match="must be 1 or more"):
        new_journal(0)


def test_what_came_since_a_number_does_not_depend_on_what_was_dropped(new_journal):
    journal = new_journal(3)
    for _ in range(5):
        journal.record(exchange)
    before = journal.total
    assert journal.since(before) == ()
    journal.record(exchange)
    assert [e.number for e in journal.since(before)] == [6]
    assert [e.number for e in journal.since(0)] == [4, 5, 6]
    assert journal.since(99) == ()


def test_the_last_exchange_is_held_however_large_it_is(new_journal):
    journal = new_journal(size_bytes=1)
    for _ in range(3):
        journal.record(exchange)
    assert [e.number for e in journal] == [3]
    journal.clear()
    assert [journal.record(exchange).number, len(journal)] == [1, 1]


def test_its_repr_says_how_much_it_holds(new_journal):
    journal = new_journal()
    journal.record(exchange)
    assert repr(journal) == "<Journal of 1 exchanges>"
