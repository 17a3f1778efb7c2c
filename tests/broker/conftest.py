"""Brokers that run while a test does, with their state in memory or in Redis.

A module with `STORES = BOTH` runs each test that makes a broker or a state over both stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mockbroker import Broker, Credentials
from mockbroker.broker.journal import SIZE_BYTES
from mockbroker.broker.state import Limits, LocalState, State
from mockbroker.redis_state.state import RedisState
from tests.broker.stores import MEMORY
from tests.redis_server import RedisServer, redis_running

CREDENTIALS = Credentials("shop", "s3cr:et")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    stores = getattr(metafunc.module, "STORES", (MEMORY,))
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", stores, scope="session")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[RedisServer]:
    """One Redis for all tests of the session; each state has a namespace of its own in it."""
    with redis_running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def new_url(store, request) -> Callable[[], str | None]:
    """What returns the URL of another state at each call; None for one in memory."""
    if store == MEMORY:
        return lambda: None
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.new_url


@pytest.fixture
def new_broker(new_url) -> Callable[..., Broker]:
    """What makes a broker, with the arguments of `Broker` and a state of its own."""
    return lambda **settings: Broker(state=new_url(), **settings)


@pytest.fixture
def new_state(new_url) -> Callable[..., State]:
    """What makes a state with the given limits."""

    def make(*, tokens: int = 1000, exchanges: int = 1000, size_bytes: int = SIZE_BYTES) -> State:
        limits = Limits(tokens=tokens, exchanges=exchanges, exchange_bytes=size_bytes)
        url = new_url()
        at = LocalState.of if url is None else partial(RedisState.at, url)
        return at(CREDENTIALS, limits)

    return make


@pytest.fixture
def broker(new_broker) -> Iterator[Broker]:
    with new_broker(credentials=CREDENTIALS).running() as running:
        yield running


@pytest.fixture
def lenient(new_broker) -> Iterator[Broker]:
    with new_broker(credentials=CREDENTIALS, strict=False).running() as running:
        yield running
