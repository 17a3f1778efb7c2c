"""The routes for the tokens of a broker."""

from __future__ import annotations

import pytest


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
