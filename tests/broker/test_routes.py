"""Routes that a test adds to the protected API."""

from __future__ import annotations

import pytest
import requests

from mockbroker import Broker, Fault, RouteCall


def get_token(broker: Broker) -> str:
    pair = (broker.credentials.client_id, broker.credentials.client_secret)
    grant = {"grant_type": "client_credentials"}
    if broker.scope:
        grant["scope"] = broker.scope
    answer = requests.post(broker.token_url, grant, auth=pair, timeout=5)
    return str(answer.json()["access_token"])


def call(broker: Broker, path: str, method: str = "GET", **options) -> requests.Response:
    headers = {"Authorization": f"Bearer {get_token(broker)}"}
    return requests.request(method, broker.api_url + path, headers=headers, timeout=5, **options)


def test_a_route_without_content_sends_neither_a_body_nor_a_length(broker):
    # RFC 9110, 8.6: no Content-Length in a response with status 204.
    broker.api.route("DELETE", "/vehicle/{id}", status=204)
    answer = call(broker, "/vehicle/7", "DELETE")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Length" not in answer.headers


def test_a_route_answers_with_its_parts_and_records_the_call(broker):
    route = broker.api.route(
        "get", "/vehicle/{id}/notes", json={"notes": ["é"]}, status=203, headers={"X-Page": "1"}
    )
    answer = call(broker, "/vehicle/A%2F7/notes?page=1&page=2")
    assert (answer.status_code, answer.headers["X-Page"]) == (203, "1")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"notes": ["é"]}
    (seen,) = route.calls
    assert (seen.method, seen.parameters, seen.query) == ("GET", {"id": "A/7"}, {"page": "2"})
    assert (seen.json, seen.scopes) == (None, frozenset())
    assert seen.token == broker.api_calls[0].token
    assert repr(route) == "<Route GET /vehicle/{id}/notes>"
    broker.assert_conforms()


def test_a_handler_makes_the_answer_to_each_call(broker):
    answers = iter([{"id": 1}, (201, [2]), (202, None, {"Location": "/3"}), [4, 5]])
    route = broker.api.route("POST", "/vehicle", handler=lambda _: next(answers))
    responses = [call(broker, "/vehicle", "POST", json={"number": n}) for n in range(4)]
    assert [each.status_code for each in responses] == [200, 201, 202, 200]
    assert [each.content for each in responses] == [b'{"id": 1}', b"[2]", b"", b"[4, 5]"]
    assert responses[2].headers["Location"] == "/3"
    assert "Content-Type" not in responses[2].headers
    assert [each.json for each in route.calls] == [{"number": n} for n in range(4)]
    assert broker.api.errors == ()


def test_a_route_needs_a_valid_token_and_its_scopes(broker):
    route = broker.api.route("GET", "/vehicle", json=[], scopes=["vehicle:read", "notes"])
    assert requests.get(f"{broker.api_url}/vehicle", timeout=5).status_code == 401
    refused = call(broker, "/vehicle")
    assert refused.status_code == 403
    assert (
        'error="insufficient_scope", scope="notes vehicle:read"'
        in (refused.headers["WWW-Authenticate"])
    )
    assert refused.json()["message"] == (
        "the token has the scope '', but GET /vehicle needs 'notes vehicle:read'"
    )
    assert route.calls == ()
    broker.scope = "vehicle:read notes more"
    assert call(broker, "/vehicle").status_code == 200
    assert route.calls[0].scopes == {"vehicle:read", "notes", "more"}


def test_the_most_specific_route_answers_and_a_later_one_replaces_its_equal(broker):
    broker.api.route("GET", "/vehicle/{id}", json="any")
    first = broker.api.route("GET", "/vehicle/latest", json="first")
    broker.api.route("GET", "/vehicle/latest", json="second")
    assert [call(broker, f"/vehicle/{name}").json() for name in ("7", "latest")] == [
        "any",
        "second",
    ]
    assert first.calls == ()


def test_faults_come_before_routes_and_a_reset_removes_them(broker):
    route = broker.api.route("GET", "/vehicle/{id}", json={})
    broker.api_script(Fault.status(503))
    assert [call(broker, "/vehicle/7").status_code for _ in range(2)] == [503, 200]
    assert len(route.calls) == 1
    broker.reset()
    assert call(broker, "/vehicle/7").json()["vehicle"]["id"] == "7"


@pytest.mark.parametrize(
    ("path", "difference"),
    [
        ("/vehicles/7", "it has 'vehicles' in place of 'vehicle'"),
        ("/vehicle/", "{id} is empty"),
        ("/vehicle/7/", "the path has a slash at the end"),
        ("/vehicle//7", "the path has a double slash"),
        ("/Vehicle/7", "upper and lower case differ"),
        ("/v2/vehicle/7", "/v2 is part of api_url, and was added to it again"),
    ],
)
def test_a_call_that_misses_a_route_by_a_likely_mistake_gets_404(broker, path, difference):
    route = broker.api.route("GET", "/vehicle/{id}", json={})
    answer = call(broker, path)
    assert answer.status_code == 404
    assert answer.json()["message"] == (
        f"no route answers GET {path}; the closest is GET /vehicle/{{id}}: {difference}"
    )
    assert route.calls == ()


def test_a_route_may_miss_by_its_own_path(broker):
    broker.api.route("GET", "/v2/vehicle/{id}", json={})
    broker.api.route("GET", "/notes/", json={})
    assert "relative to api_url, which ends with /v2 already" in call(broker, "/vehicle/7").text
    assert "the slash at the end is missing" in call(broker, "/notes").text


@pytest.mark.parametrize("path", ["/vehicle", "/vehicle/7/notes", "/people/7", "/other"])
def test_any_other_path_is_answered_as_without_routes(broker, path):
    broker.api.route("GET", "/vehicle/{id}", status=418)
    answer = call(broker, path)
    assert (answer.status_code, answer.json()["success"]) == (200, True)


def test_another_method_gets_405_with_what_is_allowed(broker):
    broker.api.route("GET", "/vehicle/{id}", json={})
    broker.api.route("PUT", "/vehicle/{name}", json={})
    answer = call(broker, "/vehicle/7", "POST")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT")
    assert "no route answers POST /vehicle/7; that path has routes for GET, PUT" in answer.text
    assert call(broker, "/vehicle/7", "HEAD").status_code == 200


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda _: {}["title"], "KeyError"),
        (lambda _: pytest.fail("no"), "Failed"),
        (lambda _: object(), "TypeError"),
        (lambda _: (200, {}, {}, {}), "TypeError"),
        (lambda _: (99, {}), "ValueError"),
        (lambda _: ("200", {}), "TypeError"),
        (lambda _: (200, {}, {"X": "two\nlines"}), "ValueError"),
    ],
)
def test_a_handler_that_raises_or_returns_nonsense_gives_500_and_the_error_is_kept(
    broker, handler, words
):
    route = broker.api.route("GET", "/vehicle/{id}", handler=handler)
    answer = call(broker, "/vehicle/7")
    assert answer.status_code == 500
    assert answer.json()["message"] == f"the handler of GET /vehicle/{{id}} raised {words}"
    (error,) = broker.api.errors
    assert (error.route, error.call, type(error.error).__name__) == (route, "GET /vehicle/7", words)
    assert len(route.calls) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("GET", "vehicle"), {}, "must begin with a slash"),
        (("GET", "/vehicle?id=7"), {}, "a route's path has no query"),
        (("GET", "/vehicle/{1}"), {}, "must be an identifier in braces"),
        (("GET", "/vehicle/{id"), {}, "must be an identifier in braces"),
        (("GET", "/{id}/{id}"), {}, "names a parameter twice"),
        (("GET", 7), {}, "must be a str"),
        (("/vehicle", "GET"), {}, "a route's method must be one such as GET, not '/vehicle'"),
        (("GET", "/"), {"json": object()}, "is not valid JSON"),
        (("GET", "/"), {"status": 99}, "status must be an integer from 200 to 599"),
        (("GET", "/"), {"scopes": "read"}, r"such as \['read'\], not a str"),
        (("GET", "/"), {"json": {}, "handler": str}, "either a handler"),
        (("GET", "/"), {"handler": {}}, "a handler must be a function"),
    ],
)
def test_a_mistake_in_a_route_raises_in_the_test(broker, arguments, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        broker.api.route(*arguments, **options)
    assert broker.api.snapshot() == ()


def test_a_handler_may_use_the_broker_and_sees_the_whole_request(broker):
    def handler(seen: RouteCall) -> object:
        broker.revoke_tokens()
        return dict(seen.request.headers)["X-Trace"]

    broker.api.route("DELETE", "/report-{day}.pdf", handler=handler)
    headers = {"Authorization": f"Bearer {get_token(broker)}", "X-Trace": "t"}
    url = f"{broker.api_url}/report-monday.pdf"
    assert requests.delete(url, headers=headers, timeout=5).json() == "t"
    assert requests.delete(url, headers=headers, timeout=5).status_code == 401
