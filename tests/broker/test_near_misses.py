"""Assertions on the journal: they say what came closest, and no secret."""

from __future__ import annotations

import pytest
import requests

from tests.broker.stores import BOTH

STORES = BOTH


@pytest.fixture
def used(broker):
    """A broker that gave a token, with which a vehicle was asked for."""
    pair = ("shop", "s3cr:et")
    data = {"grant_type": "client_credentials"}
    token = requests.post(broker.token_url, data=data, auth=pair, timeout=5).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
    requests.get(f"{broker.api_url}/vehicles/8?full=1", headers=headers, timeout=5)
    return broker


def test_what_was_seen_passes(used):
    journal = used.journal
    journal.assert_seen("POST", used.token_url, status=200)
    journal.assert_seen("GET", "/v2/vehicles/8", times=1)
    journal.assert_seen("GET", f"{used.api_url}/vehicles/8?full=1", headers={"accept": "text/html"})
    journal.assert_seen(times=2)
    journal.assert_seen("DELETE", times=0)


def test_the_closest_come_first_with_what_sets_them_apart(used):
    with pytest.raises(AssertionError) as failure:
        used.journal.assert_seen(
            "GET",
            "/v2/vehicles/7",
            headers={"Accept": "application/json", "Authorization": "Bearer x", "X-Trace": "1"},
            status=404,
        )
    text = str(failure.value)
    assert "expected at least 1 like this: GET, /v2/vehicles/7, status 404" in text
    assert "0 of 2 fit; the closest:" in text
    assert text.index("#2 GET /v2/vehicles/8") < text.index("#1 POST")
    assert "- the URL is not /v2/vehicles/7" in text
    assert "- Accept is 'text/html', not 'application/json'" in text
    assert "- Authorization has another value" in text
    assert "- X-Trace is missing" in text
    assert "- the status is 200, not 404" in text
    assert "- the method is POST, not GET" in text


def test_too_many_are_all_shown(used):
    with pytest.raises(AssertionError, match="1 of 2 fit; they are:\n  #2 GET") as failure:
        used.journal.assert_seen("GET", times=2)
    assert "#1 POST" not in str(failure.value)


def test_nothing_seen_is_said(broker):
    with pytest.raises(AssertionError, match="any request\n0 of 0 fit; the broker saw no request"):
        broker.journal.assert_seen()


def test_no_secret_is_in_what_a_failing_assertion_prints(used):
    shown = repr([*used.journal, *(e.request for e in used.journal)])
    shown += repr([(e.request.headers, e.response, e.token, e.credentials) for e in used.journal])
    assert "<#1 POST /auth-broker/request-token → 200>" in shown
    assert "Authorization" in shown
    for secret in ("s3cr:et", "Basic ", *used.token_issued_values):
        assert secret not in shown


def test_headers_that_may_hold_a_secret_are_only_said_to_be_others(broker):
    headers = {"X-Api-Key": "abcdefgh", "User-Agent": "shop/1"}
    requests.get(f"{broker.api_url}/vehicles?client_secret=ijklmnop", headers=headers, timeout=5)
    with pytest.raises(AssertionError) as failure:
        broker.journal.assert_seen(headers={"X-Api-Key": "qrstuvwx", "User-Agent": "shop/2"})
    text = str(failure.value)
    assert "- X-Api-Key has another value" in text
    assert "- User-Agent is 'shop/1', not 'shop/2'" in text
    assert not [secret for secret in ("abcdefgh", "ijklmnop", "qrstuvwx") if secret in text]


def test_secrets_and_tokens_are_masked_wherever_they_stand(used):
    (token,) = used.token_issued_values
    requests.get(f"{used.api_url}/vehicles/s3cr:et?a={token}", timeout=5)
    with pytest.raises(AssertionError) as failure:
        used.journal.assert_seen(url=f"/v2/{token}", headers={"Accept": "s3cr:et"})
    text = str(failure.value)
    assert "GET /v2/vehicles/<secret>?a=<token>" in text
    assert "- the URL is not /v2/<token>" in text
    assert not [secret for secret in ("s3cr:et", token) if secret in text]
