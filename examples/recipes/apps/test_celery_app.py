"""Tests of the Celery task: the result, an outage, a night."""

from __future__ import annotations

import pytest

from mockbroker import Broker, Fault, RouteCall

pytest.importorskip("celery", reason="Celery is not installed; `tox -e recipes` has it")

from celery_app import store_title, titles


@pytest.fixture(autouse=True)
def fleet_api(auth_broker: Broker) -> None:
    """The fleet API: it knows every vehicle by a title with its id."""

    def vehicle(call: RouteCall) -> object:
        return {"title": f"Golf {call.parameters['id']}"}

    auth_broker.api.route("GET", "/vehicle/{id}", handler=vehicle)
    titles.clear()


def test_the_title_is_stored(auth_broker: Broker) -> None:
    store_title.apply(["7"], throw=True)
    assert titles == {"7": "Golf 7"}
    auth_broker.assert_conforms()


def test_an_outage_is_retried(auth_broker: Broker) -> None:
    auth_broker.script(Fault.status(503), Fault.reset())
    assert store_title.apply(["7"]).successful()
    assert titles == {"7": "Golf 7"}
    assert len(auth_broker.token_requests) == 3


def test_the_token_is_renewed_overnight(auth_broker: Broker) -> None:
    store_title.apply(["7"], throw=True)
    auth_broker.travel(8 * 3600)
    store_title.apply(["8"], throw=True)
    assert titles == {"7": "Golf 7", "8": "Golf 8"}
    assert len(auth_broker.token_requests) == 2
