"""The live page as it is served: at the root, guarded, and without anything from elsewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from importlib import resources

import pytest

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib  # Python 3.10

from mockbroker import Broker, Credentials, Profile, throw_away_certificate
from mockbroker.cli.console import banner
from mockbroker.server.control.access import ControlAccess
from mockbroker.server.control.live_page import PageAtRoot, page_url
from mockbroker.server.listener import Server
from tests.control.conftest import SHOP, Caller

FILES = sorted(
    each.name for each in resources.files("mockbroker.server.control").joinpath("page").iterdir()
)


def root(control: Caller, method: str = "GET", path: str = "/", **headers: str):
    url = control.broker.control_url.removesuffix("/__mockbroker__") + path
    return control.session.request(method, url, headers=headers, timeout=10)


def test_the_page_is_at_the_root_and_not_in_the_journal(control):
    page = root(control)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert 'data-control="__mockbroker__"' in page.text
    assert root(control, "HEAD").content == b""
    assert control.done("GET", "/")["exchange_count"] == 0
    assert control.done("GET", "/")["page_url"] == page.url
    assert page.url in banner(control.broker)


@pytest.mark.parametrize("name", ["", *FILES])
def test_each_file_is_served_with_a_strict_policy(control, name):
    answer = control("GET", f"/page/{name}")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_another_site_or_makes_markup_of_strings(name):
    text = resources.files("mockbroker.server.control").joinpath("page", name).read_text("utf-8")
    named = text.replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[a-z]\S+", named) == []
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(| style=| on[a-z]+=\""
    assert re.findall(markup, text) == []


def test_no_other_file_is_served(control):
    for path in ("/page/../api.py", "/page/%2e%2e/api.py", "/page/none.js"):
        assert control("GET", path).status_code == 404
    assert control("POST", "/page/live.js").status_code == 405


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("GET", {"Authorization": "Bearer abc"}),
        ("GET", {"Accept": "application/json"}),
    ],
)
def test_a_request_of_a_client_for_the_root_is_the_brokers(control, method, headers):
    answer = root(control, method, **headers)
    assert answer.status_code == 404
    assert control.done("GET", "/")["exchange_count"] == 1


def test_a_token_endpoint_at_the_root_stays_where_it_is():
    profile = Profile(name="acme", token_path="/")
    with Broker(credentials=SHOP, profile=profile).running() as broker:
        control = Caller(broker)
        assert root(control).headers["Content-Type"] == "application/json"
        assert control.token()
        assert page_url(broker) == control.done("GET", "/")["page_url"]
        assert page_url(broker) == f"{broker.control_url}/page/"
        assert 'data-control=".."' in control("GET", "/page/").text


@pytest.mark.parametrize(
    ("path", "expected"), [("/x7", "x7/__mockbroker__"), ("/x7/", "__mockbroker__")]
)
def test_the_page_of_a_mounted_broker_is_below_its_prefix(path, expected):
    with Server() as server:
        broker = Broker(credentials=SHOP)
        server.mount(broker, "/x7")
        server.mount_control(broker, "/x7", ControlAccess())
        answer = Caller(broker).session.get(server.origin + path, timeout=10)
        assert f'data-control="{expected}"' in answer.text
        assert page_url(broker) == f"{server.origin}/x7/"
        assert Caller(broker).token()


def test_a_broker_with_its_page_can_be_mounted_as_a_whole():
    with Server() as server:
        broker = Broker(credentials=SHOP)
        server.mount(PageAtRoot(broker, broker, "/x7", ControlAccess()), "/x7")
        assert broker.token_url.startswith(f"{server.origin}/x7/")
        assert Caller(broker).session.get(f"{server.origin}/x7/", timeout=10).status_code == 200
        server.unmount("/x7")
        with pytest.raises(RuntimeError):
            _ = broker.token_url


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "script"}, 200),
    ],
)
def test_the_guard_of_the_page(control, headers, status):
    assert root(control, **headers).status_code == status
    assert control("GET", "/page/live.js", headers=headers).status_code == status


def test_the_page_needs_no_token_and_its_data_do():
    with Broker(credentials=SHOP).running(control_token="a-long-token") as broker:
        control = Caller(broker)
        assert root(control).status_code == 200
        assert control("POST", "/setup").status_code == 401


ODD = Credentials("o'shop", 'a "b" \\ $c `d` \n é\x7f')


def test_the_settings_to_copy_have_the_secret_only_if_asked_for(control):
    control.broker.register(ODD.client_id, ODD.client_secret)
    masked = control.done("POST", "/setup")
    assert masked["client_id"] == SHOP.client_id
    assert SHOP.client_secret not in str(masked)
    assert "***" in masked["curl"]
    shown = control.done("POST", "/setup", {"client_id": ODD.client_id, "with_secret": True})
    assert f"{ODD.client_id}:{ODD.client_secret}" in shlex.split(shown["curl"])
    table = tomllib.loads(shown["toml"])["oauth"]
    assert (table["client_id"], table["client_secret"]) == (ODD.client_id, ODD.client_secret)
    assert table["token_url"] == control.broker.token_url
    assert table["api_url"] == control.broker.api_url
    script = f'{shown["environment"]}printf %s "$CLIENT_SECRET"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)  # noqa: S603, S607
    assert done.stdout.decode() == ODD.client_secret
    assert "did you mean 'shop'" in control.refused("POST", "/setup", {"client_id": "shap"}, 404)


def test_the_settings_have_what_the_profile_needs(control):
    parameters = {"audience": "an api"}
    control.broker.profile = replace(control.broker.profile, parameters=parameters)
    assert "--data-urlencode 'audience=an api'" in control.done("POST", "/setup")["curl"]


def test_the_settings_over_tls_name_the_certificate(tmp_path):
    certificate = throw_away_certificate(tmp_path)
    with Broker(credentials=SHOP).running(tls=certificate) as broker:
        control = Caller(broker)
        control.session.verify = broker.ca_file
        shown = control.done("POST", "/setup")
        assert f"--cacert {broker.ca_file}" in shown["curl"]
        assert f"CA_FILE={broker.ca_file}" in shown["environment"]
        assert root(control).status_code == 200
