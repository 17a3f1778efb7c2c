"""The routes for the settings of a broker."""

from __future__ import annotations

import pytest


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
