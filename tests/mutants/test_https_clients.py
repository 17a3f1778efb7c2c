"""Clients that accept no token URL but https are judged over TLS."""

from __future__ import annotations

import pytest
import requests

from examples.model_client import make_client
from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.settings import RunSettings
from tests.mutants.kit import verdicts_on
from tests.mutants.sound.variants import insists_on_https

ONLY = {clauses.request.METHOD}


def measured(factory, **settings):
    with checked_run(PythonClients(factory), RunSettings(examples=1, **settings)) as run:
        return run.findings.measured


def refuses_at_its_first_use(config):
    client = make_client(config)
    if not config.token_url.startswith("https:"):
        client.get_token = lambda: refuse("the token URL must be https")
    return client


def refuses_in_any_case(config):
    client = make_client(config)
    client.get_token = client.request = lambda *_, **__: refuse("https is switched off")
    return client


def shares_connections(config):
    client = make_client(config)
    client._session = requests.Session()
    return client


def refuse(why):
    raise ValueError(why)


@pytest.mark.parametrize("factory", [insists_on_https, refuses_at_its_first_use])
def test_a_client_that_insists_on_https_is_judged_over_tls(factory):
    assert verdicts_on(factory, only=ONLY) == {}
    assert measured(factory)["scheme"] == "https"


def test_the_model_client_may_fork_over_tls():
    only = {clauses.cache.FORK}
    assert verdicts_on(make_client, only=only, tls=True, with_other_clients=True) == {}
    # The control: the session that it would have without care.
    assert set(verdicts_on(shares_connections, only=only, tls=True)) == only


def test_any_client_is_judged_over_tls_on_request():
    assert verdicts_on(make_client, only=ONLY, tls=True) == {}
    assert "scheme" not in measured(make_client, tls=True)


def test_a_client_that_fails_over_tls_as_well_is_not_tested():
    found = verdicts_on(refuses_in_any_case, only={*ONLY, clauses.response.DOCUMENTED})
    assert {verdict for verdict, _ in found.values()} == {Verdict.NOT_TESTED}
    assert "https is switched off" in found[clauses.response.DOCUMENTED][1]
    assert "scheme" not in measured(refuses_in_any_case)
