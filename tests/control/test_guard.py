"""The guard: a program on this machine may control a broker, a web page may not."""

from __future__ import annotations

import json
import socket

import pytest
import requests

from mockbroker import Broker, Server
from mockbroker.model.messages import Headers
from mockbroker.server.control.access import ControlAccess, denial_of, host_problem
from mockbroker.server.control.routes import ROUTES
from tests.broker.programs import run, serving, token_url
from tests.broker.wires import read_answer
from tests.control.conftest import SHOP

NO_TOKEN = ControlAccess(allowed_hosts=("Broker.Test", "fe80::1"))
TOKEN = ControlAccess(token="the-control-token")


def code(access: ControlAccess, *fields: tuple[str, str]) -> str:
    denial = denial_of(Headers.of(fields), "http", access)
    return denial.code if denial else "accepted"


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        ("127.0.0.1:8080", "accepted"),
        ("127.8.9.10", "accepted"),
        ("localhost:8080", "accepted"),
        ("LOCALHOST", "accepted"),
        ("[::1]:8080", "accepted"),
        ("broker.test:8080", "accepted"),
        ("[fe80::1]", "accepted"),
        ("evil.example", "host"),
        ("evil.example:8080", "host"),
        ("localhost.evil.example", "host"),
        ("127.0.0.1.evil.example", "host"),
        ("evil.example@127.0.0.1", "host"),
        ("127.0.0.1:8080/", "host"),
        ("127.1", "host"),
        ("2130706433", "host"),
        ("0.0.0.0:8080", "host"),
        ("192.168.1.5", "host"),
        ("[::ffff:8.8.8.8]", "host"),
        ("[::]", "host"),
        ("", "host"),
    ],
)
def test_the_host_must_be_this_machine_or_allowed(host, verdict):
    assert code(NO_TOKEN, ("Host", host)) == verdict


def test_a_request_with_several_hosts_or_none_is_refused():
    assert code(NO_TOKEN) == "host"
    assert code(NO_TOKEN, ("Host", "localhost"), ("Host", "localhost")) == "host"


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ([], "accepted"),
        ([("Origin", "http://localhost:8080")], "accepted"),
        ([("Origin", "http://localhost:8080"), ("Sec-Fetch-Site", "same-origin")], "accepted"),
        ([("Sec-Fetch-Site", "none")], "accepted"),
        ([("Origin", "http://evil.example")], "cross-site"),
        ([("Origin", "null")], "cross-site"),
        ([("Origin", "https://localhost:8080")], "cross-site"),
        ([("Origin", "http://localhost:3000")], "cross-site"),
        ([("Origin", "http://127.0.0.1:8080")], "cross-site"),
        ([("Sec-Fetch-Site", "cross-site")], "cross-site"),
        ([("Sec-Fetch-Site", "same-site")], "cross-site"),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], "cross-site"),
        ([("Origin", "http://localhost:8080"), ("Origin", "http://evil")], "cross-site"),
    ],
)
def test_a_request_of_a_page_must_come_from_the_broker_itself(fields, verdict):
    assert code(NO_TOKEN, ("Host", "localhost:8080"), *fields) == verdict


@pytest.mark.parametrize(
    ("field", "verdict"),
    [
        (("Authorization", "Bearer the-control-token"), "accepted"),
        (("authorization", "bearer the-control-token"), "accepted"),
        (("X-Mockbroker-Token", "the-control-token"), "accepted"),
        (("Authorization", "Basic the-control-token"), "token"),
        (("Authorization", "Bearer the-control-toke"), "token"),
        (("Authorization", "Bearer"), "token"),
        (("X-Mockbroker-Token", ""), "token"),
        (("X-Other", "the-control-token"), "token"),
    ],
)
def test_a_token_is_demanded_where_there_is_one(field, verdict):
    assert code(TOKEN, ("Host", "localhost"), field) == verdict


def test_a_refusal_says_why_and_what_to_do_and_quotes_no_token():
    denial = denial_of(
        Headers.of([("Host", "localhost"), ("X-Mockbroker-Token", "wrong-one")]), "http", TOKEN
    )
    assert denial is not None
    assert (denial.status, denial.headers[0][0]) == (401, "WWW-Authenticate")
    assert "has another token" in denial.message
    assert "Authorization: Bearer TOKEN" in denial.message
    assert "wrong-one" not in denial.message
    assert "the-control-token" not in denial.message


@pytest.mark.parametrize("name", ["http://x", "x:80", "x/y", "", "a b"])
def test_a_name_that_is_not_a_host_is_refused(name):
    assert "is not a host name" in host_problem(name)


PATHS = [*dict.fromkeys(route.path for route in ROUTES), "/openapi.json", "/nonsense"]


@pytest.mark.parametrize("path", PATHS)
def test_the_guard_is_in_front_of_every_path(control, path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        foreign = control(method, path, headers={"Host": "evil.example"})
        of_page = control(method, path, headers={"Origin": "http://evil.example"})
        assert (foreign.status_code, of_page.status_code) == (403, 403)
    assert control.broker.journal.total == 0


def test_no_response_lets_another_origin_read_it(control):
    own = {"Origin": control.broker.control_url.partition("/__")[0]}
    preflight = {"Access-Control-Request-Method": "POST", **own}
    for answer in (
        control("GET", "/tokens"),
        control("GET", "/tokens", headers=own),
        control("OPTIONS", "/reset", headers=preflight),
        control("GET", "/tokens", headers={"Origin": "http://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
@pytest.mark.parametrize("data", ["{}", ""])
def test_anything_but_json_is_refused(control, media_type, data):
    url = control.broker.control_url + "/reset"
    answer = requests.post(url, data, headers={"Content-Type": media_type}, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (415, "not-json")
    assert "Content-Type: application/json" in answer.json()["message"]


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_accepted_in_each_spelling(control, media_type):
    url = control.broker.control_url + "/clock/advance"
    answer = requests.post(url, '{"seconds": 1}', headers={"Content-Type": media_type}, timeout=5)
    assert answer.status_code == 200


def test_a_body_without_a_type_is_refused(broker):
    host = broker.control_url.split("/")[2]
    with socket.create_connection(host.rsplit(":", 1), timeout=5) as sock:
        head = f"POST /__mockbroker__/reset HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n"
        sock.sendall(head.encode() + b"{}")
        assert b" 415 " in read_answer(sock).partition(b"\r\n")[0]


def test_off_loopback_a_token_is_demanded_that_only_its_holder_knows():
    broker = Broker(credentials=SHOP)
    with Server("0.0.0.0") as server:  # noqa: S104 - what this is about
        server.mount(broker)
        server.mount_control(broker)
        token = server.control_token
        assert token
        assert len(token) >= 24
        url = f"http://127.0.0.1:{server.port}/__mockbroker__/clock"
        assert requests.get(url, timeout=5).status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(url, headers=headers, timeout=5).status_code == 200
        foreign = {"Host": "evil.example", **headers}
        assert requests.get(url, headers=foreign, timeout=5).status_code == 403


def test_off_loopback_the_api_of_a_running_broker_needs_the_given_token():
    with Broker().running("0.0.0.0", control_token="my-own-token") as broker:  # noqa: S104 - see above
        url = f"{broker.control_url}/health"
        assert requests.get(url, timeout=5).status_code == 401
        headers = {"X-Mockbroker-Token": "my-own-token"}
        assert requests.get(url, headers=headers, timeout=5).status_code == 200


def test_serve_prints_the_control_url_and_no_token_on_loopback():
    with serving("--client", "shop:s3cret") as (_, banner):
        url = token_url(banner).partition("/auth-broker")[0] + "/__mockbroker__/"
        assert f"control API    {url}" in banner
        assert "control token" not in banner
        assert requests.get(url, timeout=5).json()["profile"] == "autograb"


def test_serve_prints_the_token_off_loopback_and_allows_the_named_hosts():
    with serving("--host", "0.0.0.0", "--allow-host", "broker.test") as (_, banner):  # noqa: S104
        found = [line.split()[-1] for line in banner.splitlines() if "control token" in line]
        port = token_url(banner).split(":")[2].partition("/")[0]
        url = f"http://127.0.0.1:{port}/__mockbroker__/health"
        headers = {"X-Mockbroker-Token": found[0], "Host": "broker.test"}
        assert requests.get(url, headers=headers, timeout=5).json() == {"status": "ok"}
        assert requests.get(url, headers={"Host": "broker.test"}, timeout=5).status_code == 401


def test_serve_takes_the_token_from_the_environment():
    with serving(MOCKBROKER_CONTROL_TOKEN="from-the-environment") as (_, banner):
        url = token_url(banner).partition("/auth-broker")[0] + "/__mockbroker__/health"
        assert requests.get(url, timeout=5).status_code == 401
        headers = {"X-Mockbroker-Token": "from-the-environment"}
        assert requests.get(url, headers=headers, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--allow-host", "http://x", "is not a host name"),
        ("--control-token", "short", "8 or more ASCII characters"),
        ("--control-token", "with a blank", "8 or more ASCII characters"),
    ],
)
def test_a_wrong_option_is_one_sentence(option, value, message):
    done = run("serve", "--port", "0", option, value)
    assert done.returncode == 4
    assert message in done.stderr
    assert option == "--allow-host" or value not in done.stderr.replace("with 8", "")


def test_refusals_are_json_in_the_same_form(control):
    answer = control("GET", "/health", headers={"Host": "evil.example"})
    assert set(json.loads(answer.text)) == {"error", "message"}
    assert "--allow-host NAME" in answer.json()["message"]
