"""An app observed: what was seen is judged, also what the journal has forgotten."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mockbroker import Broker, Credentials
from mockbroker.broker.observation import Observation
from mockbroker.contract.judging import TRACE_CLAUSES
from mockbroker.model.messages import Headers, Request

SHOP = Credentials("shop", "s3cr:et")
BASIC = "Basic c2hvcDpzM2NyOmV0"
ORIGIN = "http://127.0.0.1"

TRACE_IDS = {clause.id for clause in TRACE_CLAUSES}


class App:
    """An app before a broker with a small journal, and what is observed of it."""

    def __init__(self, journal_size: int = 4, journal_bytes: int = 2**26) -> None:
        limits = {"journal_size": journal_size, "journal_bytes": journal_bytes}
        self.broker = Broker(credentials=SHOP, strict=False, **limits)
        self.observation = Observation(self.broker.journal, self.broker.profile)

    def fetch(self, body: bytes = b"grant_type=client_credentials", **headers: str) -> str:
        fields = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": BASIC,
            **headers,
        }
        request = Request("POST", self.broker.profile.token_path, Headers.of(fields.items()), body)
        self.broker.handle(request, ORIGIN)
        token = self.broker.token_requests[-1].token
        return token.value if token else ""

    def call(self, token: str, times: int = 1, body: bytes = b"") -> None:
        headers = Headers.of([("Authorization", f"Bearer {token}")])
        request = Request("GET", "/v2/vehicle/1", headers, body)
        for _ in range(times):
            self.broker.handle(request, ORIGIN)

    @property
    def observed(self):
        return self.observation.so_far()

    @property
    def kept(self) -> bool:
        return not self.observed.breaches


def test_what_was_forgotten_is_counted():
    app = App()
    app.call(app.fetch(), times=20)
    assert str(app.observed.tally) == "1 token request, 20 API calls, 1 token"
    assert app.kept


def test_a_breach_of_a_forgotten_message_is_told_with_its_exchange_and_how_often_it_was_seen():
    app = App()
    token = app.fetch(b"grant_type=client_credentials&audience=s3cr:et")
    for _ in range(2):
        app.call(token, times=10)
        app.fetch(b"grant_type=client_credentials&audience=x")
    app.call(token, times=10)
    evidence = app.observed.breaches["request.no-extra-parameters"]
    assert evidence.count == 3
    assert "audience" in evidence.what
    first = evidence.exchanges[0]
    assert (first.at_seconds, first.number, first.method) == (0.0, 1, "POST")
    assert evidence.curl.startswith("curl")
    assert "s3cr:et" not in str(evidence)


def test_a_breach_in_the_course_of_forgotten_messages_is_told_once_for_each_time():
    app = App()
    app.broker.expires_in = 60
    token = app.fetch()
    app.call(token)
    app.broker.clock.advance(90)
    app.call(token, times=2)
    second = app.fetch()
    app.call(second, times=20)
    evidence = app.observed.breaches["refresh.honours-expires-in"]
    assert evidence.count == 2
    assert "token #1" in evidence.what
    assert token not in str(evidence)


def test_the_story_of_an_expired_token_begins_where_it_was_issued():
    app = App(journal_size=10)
    token = app.fetch()
    app.call(token)
    app.broker.clock.advance(4000)
    app.call(token)
    first, last = app.observed.breaches["refresh.honours-expires-in"].exchanges
    assert first.method == "POST"
    assert 4000 <= last.at_seconds < 4010


def test_a_client_is_known_again_when_its_first_request_is_forgotten():
    app = App()
    app.call(app.fetch(), times=20)
    assert "refresh.same-grant" in app.observed.never_reached
    app.broker.clock.advance(3590)
    app.call(app.fetch(), times=20)
    unreached = app.observed.never_reached
    assert not {"refresh.same-grant", "refresh.honours-expires-in"} & unreached.keys()


def test_what_was_reached_stays_so_when_it_is_forgotten():
    app = App()
    app.call(app.fetch(), times=2)
    for _ in range(10):
        app.fetch()
    assert "cache.reuse" not in app.observed.never_reached
    assert "basic.utf8" in app.observed.never_reached


def test_a_verdict_on_request_does_not_hold_when_more_is_seen():
    app = App(journal_size=100)
    for _ in range(10):
        app.call(app.fetch())
    assert app.observed.breaches.keys() == {"cache.reuse"}
    app.call(app.fetch(), times=2)
    assert app.kept


def test_nothing_is_reached_when_nothing_was_seen():
    observed = App().observed
    assert (observed.breaches, len(set(observed.never_reached.values()))) == ({}, 1)


@pytest.mark.parametrize("journal_size", [1, 2, 3, 7])
def test_no_journal_is_too_small(journal_size):
    app = App(journal_size)
    app.call(app.fetch(), times=30)
    assert app.kept
    assert "signing.bearer" not in app.observed.never_reached


def test_what_a_journal_forgets_because_of_its_size_in_bytes_was_judged_before():
    app = App(journal_size=1000, journal_bytes=100_000)
    app.call(app.fetch(), times=30, body=b"x" * 10_000)
    assert app.broker.journal.dropped > 20
    assert app.kept
    assert not TRACE_IDS & {
        clause_id
        for clause_id, reason in app.observed.never_reached.items()
        if "dropped before they were judged" in reason
    }


def test_what_was_forgotten_before_it_could_be_judged_is_said_aloud():
    broker = Broker(credentials=SHOP, journal_size=4)
    all_came = threading.Event()

    def hold_up(exchange):
        if exchange.number == 10:
            all_came.set()
        all_came.wait(5)

    broker.journal.subscribe(hold_up)
    observation = Observation(broker.journal, broker.profile)
    headers = Headers.of([("Authorization", "Bearer x")])
    with ThreadPoolExecutor(10) as threads:
        for _ in range(10):
            threads.submit(broker.handle, Request("GET", "/v2/vehicle/1", headers), ORIGIN)
    observed = observation.so_far()
    assert observed.tally.api_calls == 10
    reasons = {observed.never_reached[clause_id] for clause_id in TRACE_IDS}
    assert reasons == {"6 exchanges were dropped before they were judged together"}


def test_a_challenge_at_the_end_of_a_window_waits_for_its_answer():
    app = App()
    for _ in range(6):
        app.broker.handle(Request("GET", "/v2/vehicle/1"), ORIGIN)
        app.call(app.fetch())
    assert "signing.bearer" not in app.observed.breaches
