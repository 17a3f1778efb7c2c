"""The routes for the clients of a broker."""

from __future__ import annotations

import pytest

from tests.control.conftest import SHOP


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
