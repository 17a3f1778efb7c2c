"""Sound apps of several clients, observed on real sockets by a real clock, raise no alarm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from examples.model_client import ApiClient, TokenManager
from mockbroker import Broker, Credentials
from mockbroker.broker.observation import Observation, Observed

SHOP = Credentials("shop", "s3cr:et")
WORKERS = 8


class Audited:
    """A broker, what is observed of it, and sound clients for it."""

    def __init__(self, broker: Broker, clients: ExitStack) -> None:
        self.broker = broker
        self._clients = clients
        self.observation = Observation(broker.journal, broker.profile)

    def client(self, secret: str = SHOP.client_secret) -> ApiClient:
        tokens = TokenManager(self.broker.token_url, SHOP.client_id, secret)
        return self._clients.enter_context(ApiClient(tokens, self.broker.api_url))

    def together(self, *jobs: Callable[[], object]) -> None:
        """Do it all at the same time, as processes of one app do."""
        barrier = threading.Barrier(len(jobs))

        def start(job: Callable[[], object]) -> None:
            barrier.wait(5)
            job()

        with ThreadPoolExecutor(len(jobs)) as threads:
            list(threads.map(start, jobs))

    def use(self, client: ApiClient, calls: int = 1) -> None:
        for _ in range(calls):
            client.request("GET", f"{self.broker.api_url}/vehicle/1")

    @property
    def observed(self) -> Observed:
        return self.observation.so_far()


@pytest.fixture
def app() -> Iterator[Audited]:
    with Broker(credentials=SHOP, journal_size=60).running() as broker, ExitStack() as clients:
        yield Audited(broker, clients)


def test_workers_that_each_have_a_token_of_their_own(app):
    workers = [app.client() for _ in range(WORKERS)]
    app.together(*(lambda each=each: app.use(each, 10) for each in workers))
    assert app.observed.breaches == {}
    assert "cache.reuse" not in app.observed.never_reached
    assert app.observed.tally.tokens == WORKERS


def test_workers_that_have_made_one_call_each_prove_nothing(app):
    for _ in range(WORKERS):
        app.use(app.client())
    assert app.observed.breaches == {}
    assert "cache.reuse" in app.observed.never_reached


def test_many_workers_that_start_at_the_same_time_and_have_made_one_call_each(app):
    workers = [app.client() for _ in range(2 * WORKERS)]
    app.together(*(each.tokens.get_token for each in workers))
    app.together(*(lambda each=each: app.use(each) for each in workers))
    assert app.observed.breaches == {}
    assert app.observed.tally.tokens == 2 * WORKERS


def test_threads_that_share_one_client(app):
    client = app.client()
    app.together(*(lambda: app.use(client, 5) for _ in range(WORKERS)))
    assert app.observed.breaches == {}
    assert app.observed.tally.tokens == 1


def test_a_client_that_is_restarted_after_use(app):
    for _ in range(12):
        app.use(app.client(), 3)
    assert app.observed.breaches == {}


def test_tokens_that_are_fetched_and_not_used(app):
    for _ in range(15):
        requests.post(
            app.broker.token_url,
            data={"grant_type": "client_credentials"},
            auth=("shop", "s3cr:et"),
            timeout=5,
        )
    assert app.observed.breaches == {}


def test_clients_that_refresh_while_others_call(app):
    app.broker.expires_in = 1
    workers = [app.client() for _ in range(3)]
    until = time.monotonic() + 2.5

    def work(client: ApiClient) -> None:
        while time.monotonic() < until:
            app.use(client)

    app.together(*(lambda each=each: work(each) for each in workers))
    assert app.observed.breaches == {}
    assert "refresh.honours-expires-in" not in app.observed.never_reached


def test_a_client_without_leeway_whose_call_takes_its_time(app):
    app.broker.expires_in = 0.2
    session = requests.Session()
    answer = session.post(
        app.broker.token_url,
        data={"grant_type": "client_credentials"},
        auth=("shop", "s3cr:et"),
        timeout=5,
    )
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    session.get(f"{app.broker.api_url}/vehicle/1", headers=headers, timeout=5)
    app.broker.clock.advance(0.3)
    late = session.get(f"{app.broker.api_url}/vehicle/1", headers=headers, timeout=5)
    session.close()
    assert late.status_code == 401
    assert app.observed.breaches == {}


def test_a_client_that_fetches_a_token_when_a_call_is_refused(app):
    for n in range(90):
        call = {"url": f"{app.broker.api_url}/vehicle/{n}", "timeout": 5}
        assert requests.get(**call).status_code == 401
        token = app.client().get_token()
        headers = {"Authorization": f"Bearer {token}"}
        for _ in range(2):
            assert requests.get(**call, headers=headers).status_code == 200
    assert app.observed.breaches == {}
    requests.get(f"{app.broker.api_url}/vehicle/1", timeout=5)
    assert app.observed.breaches.keys() == {"signing.bearer"}


def test_workers_that_start_together_with_a_wrong_secret_do_not_hammer(app):
    def try_once() -> None:
        with pytest.raises(Exception, match="401"):
            app.use(app.client("wrong"))

    app.together(*([try_once] * WORKERS))
    assert app.observed.breaches.keys() == {"basic.credentials"}


def test_what_is_not_sound_raises_one_all_the_same(app):
    for _ in range(10):
        app.use(app.client())
    with pytest.raises(Exception, match="401"):
        app.use(app.client("wrong"))
    for _ in range(10):
        requests.post(app.broker.token_url, auth=("shop", "wrong"), timeout=5)
    assert app.observed.breaches.keys() == {
        "request.grant-type",
        "request.content-type",
        "basic.credentials",
        "cache.reuse",
        "errors.no-hammering",
    }
