"""Brokers that run while a test does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockbroker import Broker, Credentials

CREDENTIALS = Credentials("shop", "s3cr:et")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(credentials=CREDENTIALS).running() as running:
        yield running


@pytest.fixture
def lenient() -> Iterator[Broker]:
    with Broker(credentials=CREDENTIALS, strict=False).running() as running:
        yield running
