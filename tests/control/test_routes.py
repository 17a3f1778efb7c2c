"""What each route does to a running broker."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import pytest
import requests

from mockbroker import Broker, Fault, Server
from mockbroker.broker.mounting import CONTROL_PATH
from mockbroker.server.application import Mounts, create_app
from mockbroker.server.control.access import ControlAccess
from mockbroker.server.control.api import ControlApi
from mockbroker.server.control.openapi import document
from mockbroker.server.control.routes import ROUTES
from tests.broker.wires import connect, read_answer, token_request
from tests.control.conftest import SHOP, Caller


def test_the_overview_says_what_and_where(control):
    broker = control.broker
    overview = control.done("GET", "/")
    assert overview.keys() == control.done("GET", "").keys()
    assert overview["token_url"] == broker.token_url
    assert overview["control_url"] == broker.control_url
    assert overview["openapi_url"] == f"{broker.control_url}/openapi.json"
    assert (overview["profile"], overview["strict"]) == ("autograb", True)
    assert control.done("GET", "/health") == {"status": "ok"}
    ready = control.done("GET", "/ready")
    assert ready == {
        "ready": True,
        "token_url": broker.token_url,
        "api_url": broker.api_url,
        "ca_file": None,
    }


def test_control_requests_are_not_in_the_journal_and_no_fault_applies_to_them(control):
    control.broker.script(Fault.status(503))
    control.broker.api_script(Fault.reset(), Fault.delay(60))
    for path in ("/", "/journal", "/nonsense", "/health"):
        control("GET", path)
    assert control.broker.journal.total == 0
    assert control.done("GET", "/")["fault_count"] == 1
    assert control.done("GET", "/")["api_fault_count"] == 2


def test_a_broker_below_a_prefix_has_its_control_api_there():
    one, other = Broker(credentials=SHOP), Broker(credentials=SHOP)
    with Server() as server:
        for prefix, broker in {"/one": one, "/other": other}.items():
            server.mount(broker, prefix)
            server.mount_control(broker, prefix)
        Caller(one).done("PATCH", "/settings", {"expires_in": 7})
        assert (one.expires_in, other.expires_in) == (7, 3599)
        server.unmount("/one")
        url = f"{server.origin}/one/__mockbroker__/health"
        assert requests.get(url, timeout=5).status_code == 404
        assert Caller(other).done("GET", "/health") == {"status": "ok"}


# Time


def test_the_clock_moves_forward_and_tokens_expire(control):
    token = control.token()
    before = control.done("GET", "/clock")["now"]
    assert control.vehicle(token).status_code == 200
    after = control.done("POST", "/clock/advance", {"seconds": 3600})
    assert 3600 <= after["now"] - before < 3610
    assert control.vehicle(token).status_code == 401


@pytest.mark.parametrize(
    "moment", [4102444800, "2100-01-01T00:00:00Z", "2100-01-01", "2100-01-01T01:00:00+01:00"]
)
def test_the_clock_can_be_set(control, moment):
    clock = control.done("PUT", "/clock", {"now": moment})
    assert clock["iso"].startswith("2100-01-01T00:00:0")


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("PUT", "/clock", {"now": 5}, (409, "never goes back")),
        ("PUT", "/clock", {"now": "yesterday"}, (422, "now: expected Unix seconds or ISO 8601")),
        ("PUT", "/clock", {"now": 1e300}, (422, "now: ")),
        ("POST", "/clock/advance", {"seconds": -1}, (422, "seconds: expected a number of seconds")),
        ("POST", "/clock/advance", {"seconds": "60"}, (422, "got '60'")),
        ("POST", "/clock/advance", {"seconds": True}, (422, "got true")),
        ("POST", "/clock/advance", {"second": 60}, (422, "did you mean 'seconds'?")),
        ("POST", "/clock/advance", {}, (422, "seconds is missing")),
        ("POST", "/clock/advance", [], (422, "expected an object")),
        ("POST", "/clock/advance", {"seconds": 2.53e11}, (422, "the year 9999")),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(control, method, path, body, refusal):
    status, message = refusal
    assert message in control.refused(method, path, body, status)
    assert control.token()  # the broker works as before


# Tokens


def test_tokens_are_listed_without_their_values(control):
    values = [control.token() for _ in range(3)]
    control.done("POST", "/tokens/2/revoke")
    control.done("POST", "/tokens/3/expire")
    listed = control("GET", "/tokens")
    tokens = listed.json()["tokens"]
    assert [(t["number"], t["state"]) for t in tokens] == [
        (1, "valid"),
        (2, "revoked"),
        (3, "expired"),
    ]
    assert 3590 < tokens[0]["seconds_left"] <= 3599
    assert [t["seconds_left"] for t in tokens[1:]] == [0, 0]
    assert tokens[0]["masked"] == f"{values[0][:4]}…"
    assert not [value for value in values if value in listed.text]
    assert not [value for value in values if value[:8] in listed.text]
    assert [control.vehicle(value).status_code for value in values] == [200, 401, 401]


def test_tokens_can_be_chosen_by_state_and_client_and_number(control):
    for _ in range(3):
        control.token()
    control.done("POST", "/tokens/1/revoke")
    assert control.done("GET", "/tokens?state=revoked")["total"] == 1
    assert control.done("GET", "/tokens?client_id=other")["total"] == 0
    latest = control.done("GET", "/tokens?limit=1")
    assert (latest["total"], [t["number"] for t in latest["tokens"]]) == (3, [3])
    assert control.done("GET", "/tokens/2")["state"] == "valid"
    assert "no token '9'" in control.refused("GET", "/tokens/9", None, 404)


def test_a_token_is_revoked_or_expired_by_its_value(control):
    revoked, expired, kept = control.token(), control.token(), control.token()
    assert control.done("POST", "/tokens/revoke", {"value": revoked}) == {"count": 1}
    assert control.done("POST", "/tokens/expire", {"value": expired}) == {"count": 1}
    states = [control.done("POST", "/tokens/find", {"value": v}) for v in (revoked, expired, kept)]
    assert [each["state"] for each in states] == ["revoked", "expired", "valid"]
    assert [each["token"]["number"] for each in states] == [1, 2, 3]
    unknown = control.done("POST", "/tokens/find", {"value": "invented"})
    assert unknown == {"state": "unknown", "token": None}


@pytest.mark.parametrize(("what", "state"), [("revoke", "revoked"), ("expire", "expired")])
def test_all_tokens_end_at_once(control, what, state):
    values = [control.token() for _ in range(2)]
    assert control.done("POST", f"/tokens/{what}", {"all": True}) == {"count": 2}
    assert {t["state"] for t in control.done("GET", "/tokens")["tokens"]} == {state}
    assert {control.vehicle(value).status_code for value in values} == {401}
    assert control.vehicle(control.token()).status_code == 200


@pytest.mark.parametrize("body", [{}, {"value": "x", "all": True}, {"all": False}])
def test_which_tokens_are_meant_must_be_clear(control, body):
    assert 'either "value"' in control.refused("POST", "/tokens/revoke", body, 422)


def test_an_unknown_token_is_not_quoted(control):
    message = control.refused("POST", "/tokens/revoke", {"value": "invented-token"}, 404)
    assert "invented-token" not in message
    wrong = control.refused("POST", "/tokens/revoke", {"value": ["invented-token"]}, 422)
    assert "invented-token" not in wrong


def test_a_client_is_not_blamed_for_a_token_that_ends_early(control):
    token = control.token()
    control.done("POST", "/tokens/1/expire")
    control.vehicle(token)
    assert control.done("POST", "/conformance/verify", {})["verdict"] == "no-violation-seen"
    control.done("POST", "/clock/advance", {"seconds": 3600})
    control.vehicle(token)
    message = control("POST", "/conformance/verify", {}).json()["message"]
    assert "refresh.honours-expires-in" in message


# Clients


def test_a_client_gets_a_secret_that_is_shown_once(control):
    created = control.done("POST", "/clients", {})
    auth = (created["client_id"], created["client_secret"])
    assert control.token_answer(auth=auth).status_code == 200
    ids = [client["client_id"] for client in control.done("GET", "/clients")["clients"]]
    assert ids == [SHOP.client_id, created["client_id"]]
    assert created["client_secret"] not in control("GET", "/clients").text


def test_a_client_may_have_a_secret_of_its_own(control):
    answer = control("POST", "/clients", {"client_id": "a/b", "client_secret": "its-own-secret"})
    assert answer.status_code == 201
    assert answer.json() == {"client_id": "a/b", "client_secret": None}
    assert control.token_answer(auth=("a/b", "its-own-secret")).status_code == 200
    rotated = control.done("PUT", "/clients/a%2Fb/secret", {})
    assert control.token_answer(auth=("a/b", "its-own-secret")).status_code == 401
    assert control.token_answer(auth=("a/b", rotated["client_secret"])).status_code == 200
    control.done("DELETE", "/clients/a%2Fb")
    assert control.token_answer(auth=("a/b", rotated["client_secret"])).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("POST", "/clients", {"client_id": "shop"}, (409, "registered already")),
        ("POST", "/clients", {"client_id": "a:b"}, (422, "client_id: ")),
        ("POST", "/clients", {"client_id": ""}, (422, "a string that is not empty")),
        ("POST", "/clients", {"client_secrt": "hidden"}, (422, "did you mean 'client_secret'?")),
        ("POST", "/clients", {"client_secret": 12345}, (422, "got an integer")),
        ("PUT", "/clients/shopp/secret", {}, (404, "did you mean 'shop'?")),
        ("DELETE", "/clients/shopp", None, (404, "did you mean 'shop'?")),
        ("DELETE", "/clients/shop", None, (409, "a broker needs a client")),
        ("GET", "/clients/shop", None, (405, "use DELETE")),
    ],
)
def test_a_mistake_about_a_client_is_one_sentence(control, method, path, body, refusal):
    status, message = refusal
    assert message in control.refused(method, path, body, status)
    assert [c["client_id"] for c in control.done("GET", "/clients")["clients"]] == ["shop"]


# Faults


def test_faults_apply_in_order_and_are_listed_until_then(control):
    faults = [{"status": 503, "retry_after": 5, "times": 2}, {"reset": True}]
    listed = control.done("POST", "/faults/token", {"faults": faults})
    assert [each["description"] for each in listed["token"]] == ["status 503", "reset"]
    assert listed["token"][0]["times"] == 2
    answer = control.token_answer()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert control.done("GET", "/faults")["token"][0]["times"] == 1
    assert control.token_answer().status_code == 503
    with pytest.raises(requests.ConnectionError):
        control.token_answer()
    assert control.done("GET", "/faults") == {"token": [], "api": []}
    assert control.token_answer().status_code == 200


def test_faults_of_the_api_are_a_script_of_their_own_and_can_be_cleared(control):
    token = control.token()
    control.done("POST", "/faults/api", {"faults": [{"status": 429}, {"status": 500}]})
    assert control.vehicle(token).status_code == 429
    assert control.done("DELETE", "/faults") == {"token": [], "api": []}
    assert control.vehicle(token).status_code == 200


def test_connections_are_refused_for_some_seconds(control):
    faults = {"faults": [{"status": 503}, {"refuse_seconds": 0.3}]}
    control.done("POST", "/faults/token", faults)
    assert control.token_answer().status_code == 503
    refused = 0
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            answer = control.token_answer()
        except requests.ConnectionError:
            refused += 1
            continue
        break
    assert refused
    assert answer.status_code == 200
    assert control.done("GET", "/faults") == {"token": [], "api": []}


def test_a_refusal_that_is_cleared_before_its_turn_never_comes(control):
    control.done("POST", "/faults/token", {"faults": [{"status": 503}, {"refuse_seconds": 60}]})
    (waiting,) = [t for t in threading.enumerate() if t.name == "mockbroker-refusal"]
    control.done("DELETE", "/faults")
    waiting.join(20)
    assert not waiting.is_alive()
    assert control.token_answer().status_code == 200
    assert control.token_answer().status_code == 200


def test_a_refusal_that_waits_for_its_turn_ends_with_the_server():
    with Broker(credentials=SHOP).running() as broker:
        faults = {"faults": [{"status": 503}, {"refuse_seconds": 60}]}
        Caller(broker).done("POST", "/faults/token", faults)
        (waiting,) = [t for t in threading.enumerate() if t.name == "mockbroker-refusal"]
    waiting.join(20)
    assert not waiting.is_alive()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"statuss": 503}, "faults[1]: unknown key 'statuss'; did you mean 'status'?"),
        ({"status": "503"}, "faults[1].status: expected a status from 200 to 599"),
        ({"status": 700}, "got 700"),
        ({"compressed": "gzp"}, "did you mean 'gzip'?"),
        ({"reset": True, "chunked": True}, "faults[1]: reset and chunked contradict"),
        ({}, "faults[1]: a fault needs an effect"),
        ({"times": 0, "status": 500}, "faults[1].times"),
        (503, "faults[1]: expected an object, got 503"),
    ],
)
def test_a_script_with_a_mistake_is_not_applied_in_part(control, fault, message):
    body = {"faults": [{"status": 503}, fault]}
    assert message in control.refused("POST", "/faults/token", body, 422)
    assert control.done("GET", "/faults")["token"] == []


def test_a_refusal_must_be_the_last_fault(control):
    body = {"faults": [{"refuse_seconds": 1}, {"status": 503}]}
    assert "must be the last" in control.refused("POST", "/faults/token", body, 422)


def test_a_delayed_answer_can_be_released(control):
    control.done("POST", "/faults/token", {"faults": [{"delay_seconds": 3600}]})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(control.token_answer()))
    thread.start()
    control.done("POST", "/journal/wait", {"method": "POST"})
    assert Caller(control.broker).done("POST", "/release") == {"done": True}
    thread.join(10)
    assert [answer.status_code for answer in answers] == [200]


def test_idle_connections_can_be_closed(control):
    with connect(control.broker) as sock:
        sock.sendall(token_request(control.broker))
        assert read_answer(sock)
        assert control.done("POST", "/connections/close-idle") == {"done": True}
        assert sock.recv(1) == b""


# Settings


def test_settings_are_shown_and_changed(control):
    change = {
        "expires_in": 60,
        "strict": False,
        "scope": "read",
        "token_policy": "single",
        "agreed_paths": ["/orders"],
        "token_answer": {"members": {"extra": 1}, "omit": ["token_type"]},
    }
    changed = control.done("PATCH", "/settings", change)
    assert changed == control.done("GET", "/settings")
    assert {name: changed[name] for name in change if name != "token_answer"} == {
        name: value for name, value in change.items() if name != "token_answer"
    }
    answer = control.token_answer().json()
    assert (answer["expires_in"], answer["scope"], answer["extra"]) == (60, "read", 1)
    assert "token_type" not in answer
    assert control.vehicle(answer["access_token"]).status_code == 403


def test_the_profile_changes_with_its_urls_and_lifetime_and_a_reset_undoes_it(control):
    changed = control.done("PATCH", "/settings", {"profile": "rfc6749"})
    assert (changed["profile"], changed["expires_in"]) == ("rfc6749", 3600)
    assert control.broker.token_url.endswith("/token")
    assert control.token_answer().json()["expires_in"] == 3600
    both = control.done("PATCH", "/settings", {"profile": "autograb", "expires_in": 5})
    assert (both["profile"], both["expires_in"]) == ("autograb", 5)
    control.done("PATCH", "/settings", {"profile": "rfc6749"})
    assert control.done("POST", "/reset")["profile"] == "autograb"
    assert control.done("GET", "/settings")["expires_in"] == 3599


def test_the_values_of_the_next_tokens_can_be_given(control):
    control.done("PATCH", "/settings", {"token_values": ["first-value", "second-value"]})
    assert control.done("GET", "/settings")["has_token_values"] is True
    values = [control.token() for _ in range(3)]
    assert values[:2] == ["first-value", "second-value"]
    assert len(values[2]) == 43
    control.done("PATCH", "/settings", {"token_values": []})
    assert control.done("GET", "/settings")["has_token_values"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "rfc"}, "profile: unknown profile 'rfc'; did you mean 'rfc6749'?"),
        ({"expires_in": -1}, "expires_in: expected a number of seconds"),
        ({"strict": "no"}, "strict: expected true or false"),
        ({"token_policy": "sam"}, "did you mean 'same'?"),
        ({"expire_in": 5}, "did you mean 'expires_in'?"),
        ({"agreed_paths": ["orders"]}, "agreed_paths[0]: expected a path that begins with a slash"),
        ({"token_answer": {"content_type": "a\nb"}}, "token_answer.content_type: "),
        ({"token_answer": {"omits": []}}, "token_answer: unknown key 'omits'"),
    ],
)
def test_a_change_with_a_mistake_changes_nothing(control, change, message):
    before = control.done("GET", "/settings")
    assert message in control.refused("PATCH", "/settings", {"scope": "x", **change}, 422)
    assert control.done("GET", "/settings") == before


# The journal


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


# Conformance


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


# The rest


def test_a_string_is_masked(control):
    text = f"secret {SHOP.client_secret}, token {control.token()}"
    assert control.done("POST", "/mask", {"text": text}) == {
        "text": "secret <secret>, token <token>"
    }


def test_a_reset_forgets_everything_but_the_log_of_those_that_watch(control):
    seen = []
    control.broker.journal.subscribe(seen.append)
    control.broker.journal.subscribe(seen.append, survives_reset=True)
    control.token()
    control.done("POST", "/clients", {})
    control.done("POST", "/faults/token", {"faults": [{"status": 503}]})
    control.done("POST", "/clock/advance", {"seconds": 3600})
    overview = control.done("POST", "/reset")
    assert (overview["exchange_count"], overview["fault_count"]) == (0, 0)
    assert control.done("GET", "/tokens")["total"] == 0
    assert len(control.done("GET", "/clients")["clients"]) == 1
    control.token()
    assert [exchange.number for exchange in seen] == [1, 1, 1]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/token", 404, "did you mean '/tokens'?"),
        ("GET", "/clients/%ff", 404, "unknown path"),
        ("GET", "//clock", 404, "unknown path"),
        ("POST", "/clock", 405, "use GET, PUT, HEAD"),
        ("POST", "/openapi.json", 405, "use GET, HEAD"),
        ("GET", "/health?x=1", 422, "has no parameters"),
        ("POST", "/reset?x=1", 422, "has no parameters"),
    ],
)
def test_an_unknown_path_or_method_says_what_there_is(control, method, path, status, message):
    assert message in control.refused(method, path, None, status)


def test_a_body_that_is_not_json_is_refused_without_being_quoted(control):
    url, headers = f"{control.broker.control_url}/mask", {"Content-Type": "application/json"}
    for data in (b'{"text": secret}', b"\xff", b"[" * 100_000, b'{"text": "\\ud800"}', b"NaN"):
        answer = requests.post(url, data, headers=headers, timeout=5)
        assert answer.status_code in (400, 422)
        assert "secret" not in answer.text


def test_a_route_without_a_body_takes_none(control):
    assert control.done("POST", "/reset", {})["exchange_count"] == 0
    assert "has no body" in control.refused("POST", "/reset", {"x": 1}, 422)


def test_head_is_get_without_a_body(control):
    for path in ("/", "/events", "/openapi.json"):
        answer = control("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")


# The OpenAPI document


def test_the_document_describes_every_route(control):
    served = control.done("GET", "/openapi.json")
    assert served == json.loads(document(control.broker.control_url))
    assert served["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, each in served["paths"].items() for method in each
    }
    assert described == {(route.method, route.path) for route in ROUTES} | {
        ("GET", "/openapi.json")
    }
    names = [each["operationId"] for path in served["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    assert served["servers"] == [{"url": control.broker.control_url}]


def test_another_wsgi_server_has_the_control_api_as_well():
    broker = Broker(credentials=SHOP)
    mounts = Mounts()
    mounts[""] = broker
    mounts[CONTROL_PATH] = api = ControlApi(broker, ControlAccess())
    broker.mounted_at("http://localhost", "")
    client = create_app(mounts).test_client()
    assert client.get("/__mockbroker__/health").get_json() == {"status": "ok"}
    foreign = client.get("/__mockbroker__/health", headers={"Host": "evil.example"})
    assert foreign.status_code == 403
    api.unmounted()
    events = client.get("/__mockbroker__/events").get_data(as_text=True)
    assert events.startswith("retry: 1000\n\nevent: hello")
    assert events.endswith("event: end\ndata: {}\n\n")
