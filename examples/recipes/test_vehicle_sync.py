"""Recipes for tests of an application: with the fixture `auth_broker`, no test waits."""

from __future__ import annotations

import freezegun
import pytest

from examples.model_client import TokenError
from examples.recipes.vehicle_sync import VehicleSync
from mockbroker import Broker, Fault


@pytest.fixture
def sync(auth_broker: Broker) -> VehicleSync:
    """The application, pointed at the broker."""
    credentials = auth_broker.credentials
    return VehicleSync(
        auth_broker.token_url,
        auth_broker.api_url,
        credentials.client_id,
        credentials.client_secret,
    )


def test_the_token_is_renewed_overnight(auth_broker: Broker, sync: VehicleSync) -> None:
    with freezegun.freeze_time("2030-01-01 22:00") as night:  # the broker follows
        sync.title_of("1111111111111111")
        night.tick(8 * 3600)
        sync.title_of("1111111111111111")
    assert len(auth_broker.token_requests) == 2
    auth_broker.assert_conforms()


def test_an_outage_is_told(auth_broker: Broker, sync: VehicleSync) -> None:
    auth_broker.script(Fault.status(503, retry_after=5), Fault.reset())
    for _ in range(2):
        with pytest.raises(TokenError):
            sync.title_of("1111111111111111")
    assert sync.title_of("1111111111111111")


def test_a_revoked_token_is_replaced(auth_broker: Broker, sync: VehicleSync) -> None:
    sync.title_of("1111111111111111")
    auth_broker.revoke_tokens()
    assert sync.title_of("1111111111111111")
    auth_broker.journal.assert_seen("GET", status=401, times=1)
