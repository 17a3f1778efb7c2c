"""The routes for the journal, for expectations of it, and for conformance."""

from __future__ import annotations

import contextlib
import threading

import pytest
import requests

from mockbroker import Broker
from tests.control.conftest import SHOP, Caller


def test_the_journal_shows_what_fits_without_secrets(control):
    token = control.token()
    control.vehicle(token)
    control.vehicle("invented")
    everything = control("GET", "/journal")
    assert everything.json()["total"] == 3
    assert token not in everything.text
    assert SHOP.client_secret not in everything.text
    refused = control.done("GET", "/journal?status=401&endpoint=api&method=GET")
    assert [e["number"] for e in refused["exchanges"]] == [3]
    assert refused["fits"] == 1
    later = control.done("GET", "/journal?since=1&limit=1")
    assert (later["fits"], [e["number"] for e in later["exchanges"]]) == (2, [3])
    assert control.done("GET", "/journal/2")["token"]["number"] == 1
    assert "no exchange '9'" in control.refused("GET", "/journal/9", None, 404)
    assert control.done("DELETE", "/journal")["total"] == 0
    assert control.broker.journal.total == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: expected an integer from 1 to 10000"),
        ("limit=many", "got 'many'"),
        ("endpoint=tokn", "did you mean 'token'?"),
        ("statuss=401", "query: unknown key 'statuss'; did you mean 'status'?"),
        ("status=401&status=200", "'status' is given twice"),
        ("status=" + "9" * 5000, "status: "),
    ],
)
def test_a_wrong_query_is_one_sentence(control, query, message):
    assert message in control.refused("GET", f"/journal?{query}", None, 422)


def test_a_query_must_be_utf8(control):
    assert "not valid UTF-8" in control.refused("GET", "/journal?method=%ff", None, 400)


def test_an_expectation_holds_or_shows_the_closest_exchanges(control):
    control.vehicle("invented")
    path = "/v2/vehicle/1"
    assert control.done("POST", "/journal/verify", {"url": path, "status": 401}) == {
        "fits": 1,
        "numbers": [1],
        "total": 1,
    }
    control.done("POST", "/journal/verify", {"url": path, "status": 401, "times": 1})
    control.done("POST", "/journal/verify", {"method": "POST", "times": 0})
    control.done("POST", "/journal/verify", {"headers": {"Authorization": "Bearer invented"}})
    answer = control("POST", "/journal/verify", {"url": path, "status": 200, "method": "GET"})
    assert answer.status_code == 409
    unmet = answer.json()
    with pytest.raises(AssertionError) as raised:
        control.broker.journal.assert_seen("GET", path, status=200)
    assert (unmet["error"], unmet["message"]) == ("unmet", str(raised.value))
    assert unmet["closest"][0]["number"] == 1
    assert unmet["closest"][0]["differences"] == ["the status is 401, not 200"]


def test_an_expectation_counts_only_what_came_since(control):
    control.vehicle("invented")
    control.done("POST", "/journal/verify", {"method": "GET", "times": 0, "since": 1})
    assert control("POST", "/journal/verify", {"method": "GET", "since": 1}).status_code == 409


def test_a_wait_ends_when_enough_has_come(control):
    answers = []
    body = {"method": "GET", "status": 401, "count": 2, "timeout_seconds": 30}
    other = Caller(control.broker)
    thread = threading.Thread(target=lambda: answers.append(other("POST", "/journal/wait", body)))
    thread.start()
    control.token()
    control.vehicle("invented")
    control.vehicle("invented")
    thread.join(20)
    assert [answer.json()["numbers"] for answer in answers] == [[2, 3]]


def test_a_wait_in_vain_shows_what_came_instead(control):
    control.vehicle("invented")
    answer = control("POST", "/journal/wait", {"method": "POST", "timeout_seconds": 0})
    assert answer.status_code == 409
    assert answer.json()["closest"][0]["differences"] == ["the method is GET, not POST"]


def test_a_wait_survives_a_reset_and_ends_with_the_server(monkeypatch):
    with Broker(credentials=SHOP).running() as broker:
        control, answers, waits = Caller(broker), [], threading.Event()
        journal = type(broker.journal)
        subscribe = journal.subscribe

        def subscribe_and_note(*arguments, **options):
            waits.set()
            return subscribe(*arguments, **options)

        monkeypatch.setattr(journal, "subscribe", subscribe_and_note)
        body = {"method": "DELETE", "timeout_seconds": 300}

        def wait() -> None:
            # The server may close the connection before it has answered.
            with contextlib.suppress(requests.ConnectionError):
                answers.append(control("POST", "/journal/wait", body))

        thread = threading.Thread(target=wait)
        thread.start()
        # Else the server may end before the request has arrived.
        assert waits.wait(10)
        Caller(broker).done("POST", "/reset")
    thread.join(10)
    assert not thread.is_alive()
    assert [answer.status_code for answer in answers] in ([503], [])


def test_the_number_of_waiting_requests_is_limited(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.control.watching.WATCHER_LIMIT", 1)
    control = Caller(broker)
    with requests.get(f"{broker.control_url}/events", stream=True, timeout=10) as stream:
        next(stream.iter_lines())
        message = control.refused("POST", "/journal/wait", {}, 503)
        assert "end one of them first" in message
        assert control("GET", "/events").status_code == 503
    assert control.done("GET", "/health") == {"status": "ok"}


def test_conformance_never_says_more_than_was_seen(control):
    nothing = control.done("GET", "/conformance")
    assert nothing["verdict"] == "nothing-tested"
    assert "no token request" in nothing["conclusion"]
    assert nothing["kept"] == []
    assert "no token request" in control("POST", "/conformance/verify", {}).json()["message"]
    control.vehicle(control.token())
    seen = control.done("GET", "/conformance")
    assert seen["verdict"] == "no-violation-seen"
    assert "never shows that a client conforms" in seen["conclusion"]
    assert "basic.scheme" in seen["kept"]
    assert "refresh.honours-expires-in" in seen["not_tested"]
    assert seen["scenarios_needed"] > 0
    assert seen["seen"] == {"token_requests": 1, "api_calls": 1, "tokens": 1}
    verified = control.done("POST", "/conformance/verify", {})
    assert verified["verdict"] == "no-violation-seen"


def test_conformance_names_what_is_broken_and_how_to_fix_it(control):
    control.token_answer(auth=("shop", "wrong"))
    broken = control.done("GET", "/conformance")
    assert broken["verdict"] == "violated"
    found = {each["clause"]: each for each in broken["violated"]}
    assert found["basic.credentials"]["level"] == "MUST"
    assert found["basic.credentials"]["fix"]
    assert found["basic.credentials"]["exchanges"][0]["number"] == 1
    answer = control("POST", "/conformance/verify", {"fail_on": "MUST"})
    assert answer.status_code == 409
    with pytest.raises(AssertionError) as raised:
        control.broker.assert_conforms()
    assert answer.json()["message"] == str(raised.value)
    assert SHOP.client_secret not in answer.text


def test_a_level_decides_what_is_a_violation(control):
    # requests sends Accept: */*, so this is a breach at SHOULD.
    url, pair = control.broker.token_url, (SHOP.client_id, SHOP.client_secret)
    form = {"grant_type": "client_credentials", "extra": "1"}
    requests.post(url, form, auth=pair, timeout=5)
    strictly = control.done("GET", "/conformance?fail_on=SHOULD")
    assert [each["clause"] for each in strictly["violated"]] == ["request.no-extra-parameters"]
    mildly = control.done("GET", "/conformance")
    assert mildly["verdict"] == "no-violation-seen"
    assert [each["clause"] for each in mildly["advice"]] == ["request.no-extra-parameters"]
    assert "fail_on" in control.refused("GET", "/conformance?fail_on=shuld", None, 422)
