"""The control API and the live page of `mockbroker.wsgi:app`, for servers of other projects."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from mockbroker import wsgi

TOKEN = "a-long-secret"
GUARD = {"X-Mockbroker-Token": TOKEN}
BASE = "http://localhost:8000"
CONTROL = "/__mockbroker__"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def application(monkeypatch):
    def make(**variables: str) -> Client:
        variables = {"MOCKBROKER_CLIENTS": "shop:s3cret", **variables}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Client(wsgi._make_app())

    return make


def test_without_a_token_there_is_no_control_api_and_no_page(application):
    for variables in ({}, {"MOCKBROKER_CONTROL_TOKEN": ""}):
        client = application(**variables)
        assert client.get(f"{CONTROL}/", headers=GUARD, base_url=BASE).status_code == 404
        page = client.get("/", headers={"Accept": "text/html"}, base_url=BASE)
        assert page.status_code == 404


@pytest.mark.parametrize(
    ("base", "headers", "status", "code"),
    [
        (BASE, {}, 401, "token"),
        (BASE, {"X-Mockbroker-Token": "another-one"}, 401, "token"),
        ("http://evil.example", GUARD, 403, "host"),
        (BASE, {**GUARD, "Origin": "http://evil.example"}, 403, "cross-site"),
    ],
)
def test_the_token_is_always_demanded_and_the_guard_applies(
    application, base, headers, status, code
):
    client = application(MOCKBROKER_CONTROL_TOKEN=TOKEN)
    denied = client.get(f"{CONTROL}/", headers=headers, base_url=base)
    assert (denied.status_code, denied.json["error"]) == (status, code)


def test_the_urls_have_the_origin_of_the_request(application):
    client = application(MOCKBROKER_CONTROL_TOKEN=TOKEN, MOCKBROKER_ALLOWED_HOSTS="broker other")
    for base in (BASE, "http://broker:9000", "http://broker:9000", "http://other"):
        overview = client.get(f"{CONTROL}/", headers=GUARD, base_url=base).json
        assert overview["token_url"] == f"{base}/auth-broker/request-token"
        denied = client.get(f"{CONTROL}/", headers=GUARD, base_url="http://evil.example")
        assert "evil.example/" not in denied.text


def test_it_drives_the_broker_that_is_served(application):
    client = application(MOCKBROKER_CONTROL_TOKEN=TOKEN)

    def ask():
        url = "/auth-broker/request-token"
        return client.post(url, data=GRANT, auth=("shop", "s3cret"), base_url=BASE).status_code

    faults = {"faults": [{"status": 503}]}
    client.post(f"{CONTROL}/faults/token", json=faults, headers=GUARD, base_url=BASE)
    assert [ask(), ask()] == [503, 200]
    journal = client.get(f"{CONTROL}/journal", headers=GUARD, base_url=BASE).json
    assert len(journal["exchanges"]) == 2


def test_the_page_and_its_events_are_served(application):
    client = application(MOCKBROKER_CONTROL_TOKEN=TOKEN)
    page = client.get("/", headers={"Accept": "text/html"}, base_url=BASE)
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    stream = client.get(f"{CONTROL}/events", headers=GUARD, base_url=BASE, buffered=False)
    assert next(stream.response).startswith(b"retry: 1000")
    stream.close()
