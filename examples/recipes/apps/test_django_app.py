"""Tests of the Django app: the answer, an outage, a night."""

from __future__ import annotations

import pytest

from mockbroker import Broker, Fault

pytest.importorskip("django", reason="Django is not installed; `tox -e recipes` has it")

import django_app  # noqa: F401 - it configures Django
from django.test import Client


@pytest.fixture
def client(auth_broker: Broker) -> object:
    """The app's test client; the fleet API knows one vehicle."""
    auth_broker.api.route("GET", "/vehicle/{id}", json={"title": "Golf"})
    return Client()


def test_the_title_comes_from_the_fleet_api(client, auth_broker: Broker) -> None:
    assert client.get("/vehicles/7").json() == {"title": "Golf"}
    auth_broker.assert_conforms()


def test_an_outage_is_reported(client, auth_broker: Broker) -> None:
    auth_broker.script(Fault.status(503))
    assert client.get("/vehicles/7").status_code == 503
    assert client.get("/vehicles/7").status_code == 200


def test_the_token_is_renewed_overnight(client, auth_broker: Broker) -> None:
    assert client.get("/vehicles/7").status_code == 200
    auth_broker.travel(8 * 3600)
    assert client.get("/vehicles/7").status_code == 200
    assert len(auth_broker.token_requests) == 2
