"""What a request costs does not depend on what came before it, and memory has its bounds."""

from __future__ import annotations

import gc
import json
import statistics
import time
from pathlib import Path

import pytest
import requests

from mockbroker import Broker, Credentials
from mockbroker.cli.console import log_lines
from mockbroker.cli.journal_file import JournalFile
from mockbroker.model.messages import Headers, Request
from mockbroker.model.value_index import ValueIndex
from tests.broker.stores import BOTH

STORES = BOTH
SHOP = Credentials("shop", "s3cr:et-of-the-shop")
ORIGIN = "http://127.0.0.1"
FEW, MANY = 100, 4_000


class Served:
    """A broker asked without a network, its answers told to a file and a terminal's lines."""

    def __init__(self, tmp_path: Path, token_values: object = None) -> None:
        self.broker = Broker(credentials=SHOP)
        self.broker.token_values = token_values
        self.lines: list[str] = []
        self._file = JournalFile(tmp_path / "journal.jsonl", self.broker.masked)
        self._ask = Request(
            "POST",
            self.broker.profile.token_path,
            Headers.of(
                [
                    ("Authorization", "Basic c2hvcDpzM2NyOmV0LW9mLXRoZS1zaG9w"),
                    ("Content-Type", "application/x-www-form-urlencoded"),
                ]
            ),
            b"grant_type=client_credentials",
        )

    def fetch(self) -> str:
        answer = self.broker.handle(self._ask, ORIGIN).response
        assert answer.status == 200, answer.body
        token: str = json.loads(answer.body)["access_token"]
        return token

    def call(self, authorization: str, *, status: int) -> None:
        headers = Headers.of([("Authorization", authorization), ("X-Trace", "a" * 40)])
        request = Request("GET", "/v2/vehicle/1?q=some-text", headers, b'{"some": "body"}')
        assert self.broker.handle(request, ORIGIN).response.status == status

    def log(self) -> None:
        def answered(exchange: object) -> None:
            self._file.write(exchange)
            self.lines.append(log_lines(exchange, self.broker.masked))

        self.broker.journal.subscribe(answered)

    def grow_to(self, count: int) -> str:
        while len(self.broker.token_issued_values) < count:
            token = self.fetch()
        return token

    def round(self) -> None:
        """Requests of each kind, good and bad."""
        token = self.fetch()
        self.call(f"Bearer {token}", status=200)
        self.call(f"Bearer garbage{token}trailing", status=401)
        self.call("Bearer nobodys-token-of-that-length-0123456789", status=401)
        self.call(f"Bearer {token.swapcase()}", status=401)

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path)
    yield made
    made.close()


def test_no_request_walks_the_tokens(served, monkeypatch):
    def walk(_index: object) -> None:
        pytest.fail("all tokens were walked")

    served.log()
    monkeypatch.setattr(ValueIndex, "__iter__", walk)
    served.round()
    served.broker.revoke_tokens()
    served.round()
    assert len(served.lines) == 10


SEQUENCE = iter(range(10**9))


@pytest.mark.slow
@pytest.mark.parametrize(
    "token_values",
    [None, lambda: f"token-of-the-test-suite-number-{next(SEQUENCE)}"],
    ids=["random tokens", "tokens that begin alike"],
)
def test_the_four_thousandth_token_costs_what_the_hundredth_did(tmp_path, token_values):
    costs = []
    gc.disable()  # its pauses grow with what is alive, and are not what this is about
    try:
        for count in (FEW, MANY):
            served = Served(tmp_path, token_values)
            served.grow_to(count)
            served.log()
            costs.append(_median_cost(served))
            served.close()
    finally:
        gc.enable()
    assert costs[1] < 3 * costs[0]


def _median_cost(served: Served) -> float:
    costs = []
    for _ in range(25):
        began = time.process_time()
        served.round()
        costs.append(time.process_time() - began)
    return statistics.median(costs)


def test_the_journal_is_bounded_in_bytes_too(new_broker):
    with new_broker(credentials=SHOP, journal_bytes=1_000_000).running() as broker:
        for _ in range(10):
            requests.post(f"{broker.api_url}/x", data=b"x" * 300_000, timeout=5)
        assert [e.number for e in broker.journal] == [8, 9, 10]
        assert (broker.journal.total, broker.journal.dropped) == (10, 7)
        assert [e.number for e in broker.journal.since(8)] == [9, 10]


def test_forgotten_headers_count_as_well_as_bodies(new_broker):
    with new_broker(credentials=SHOP, journal_bytes=100_000).running() as broker:
        for _ in range(20):
            requests.get(f"{broker.api_url}/x", headers={"X-Long": "x" * 20_000}, timeout=5)
        assert len(broker.journal) == 4
