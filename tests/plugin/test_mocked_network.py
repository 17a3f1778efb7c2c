"""A network that is mocked, forbidden or led to a proxy is named; the client is not blamed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONE_CLAUSE = ("--contract-only", "request.method", "--contract-examples", "1")
FACTORY = """
from examples.{module} import make_client

@pytest.fixture(scope="session")
def contract_client_factory():
    return make_client
"""
FOR_THE_SESSION = """
@pytest.fixture(autouse=True, scope="session")
def mocked():
    with {mock}:
        yield
"""
# What the library replaces, and with which of the examples' clients it is in the way.
MOCKS = {
    "responses": ("responses.RequestsMock()", "model_client", "requests.adapters.HTTPAdapter.send"),
    "requests_mock": ("requests_mock.Mocker()", "model_client", "requests.sessions.Session."),
    "respx": ("respx.mock", "async_client", "httpcore.ConnectionPool.handle_request"),
}
NO_SOCKETS = """
import socket

class Forbidden(RuntimeError):
    pass

class guarded(socket.socket):
    def __new__(cls, *arguments, **options):
        raise Forbidden("no network in tests")
"""


@pytest.fixture
def run(pytester, without_other_plugins, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(conftest: str, *arguments: str) -> pytest.RunResult:
        pytester.makeconftest(f"import pytest\n{conftest}")
        arguments = ("--pyargs", "mockbroker_contract", *ONE_CLAUSE, *arguments)
        return pytester.runpytest_subprocess(*arguments)

    return run


def assert_usage_error(result, *texts):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    output = " ".join(result.stdout.str().split())
    for text in texts:
        assert text in output
    assert "not-tested" not in output


@pytest.mark.parametrize(
    "library",
    [pytest.param(name, marks=() if name == "responses" else pytest.mark.slow) for name in MOCKS],
)
def test_a_library_that_mocks_http_in_the_clients_process_is_named(run, library):
    mock, module, function = MOCKS[library]
    conftest = f"import {library}\n{FACTORY}{FOR_THE_SESSION}".format(module=module, mock=mock)
    assert_usage_error(
        run(conftest),
        f"a request of the client did not reach the broker: {library} has replaced {function}",
        "restore it before the first clause, or return the name of the factory",
    )


def test_a_client_that_is_named_by_a_target_is_not_mocked(run):
    conftest = "import responses\n" + FOR_THE_SESSION.format(mock="responses.RequestsMock()")
    target = f"{ROOT / 'examples' / 'model_client.py'}:make_client"
    result = run(conftest, "--contract-client", target)
    assert result.ret == 0
    assert "1 passed" in result.stdout.str()


def test_a_mock_in_the_clients_own_module_is_named(check, pytester):
    pytester.makepyfile(
        mocked="""
        import requests
        from unittest import mock

        mock.patch.object(requests.Session, "send").start()

        class Client:
            def __init__(self, config):
                self.config = config

            def get_token(self):
                return requests.post(self.config.token_url, timeout=5).json()["access_token"]
        """
    )
    done = check("mocked.py:Client", "--only", "request.method")
    assert (done.returncode, done.stdout) == (4, "")
    assert "unittest.mock has replaced requests.sessions.Session.send" in done.stderr
    assert "do not replace it in the modules that the client imports" in done.stderr


def test_a_client_that_fails_although_nothing_is_mocked_is_judged(run):
    result = run(
        """
        class Client:
            def __init__(self, config):
                pass

            def get_token(self):
                raise KeyError("token")

        @pytest.fixture(scope="session")
        def contract_client_factory():
            return Client
        """.replace("\n        ", "\n")
    )
    assert "NOTHING WAS TESTED" in result.stdout.str()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_forbidden_sockets_are_named(pytester):
    arguments = ("-p", "no:randomly", "--disable-socket", "--pyargs", "mockbroker_contract")
    model = f"{ROOT / 'examples' / 'model_client.py'}:make_client"
    result = pytester.runpytest_subprocess(*arguments, *ONE_CLAUSE, "--contract-client", model)
    assert_usage_error(
        result,
        "pytest_socket has replaced the sockets of this process and refuses a connection to "
        "127.0.0.1",
        "allow that address in this test run, or run `mockbroker check TARGET`",
    )


@pytest.mark.parametrize(
    "plugin", [pytest.param("", marks=pytest.mark.slow), "import pytest_socket\n"]
)
def test_sockets_that_reach_this_machine_are_no_obstacle(run, plugin):
    allowed = "pytest_socket.socket_allow_hosts(['127.0.0.1'])" if plugin else "None"
    start = f"\ndef pytest_configure(config):\n    {allowed}\n"
    assert run(plugin + FACTORY.format(module="model_client") + start).ret == 0


def test_sockets_that_are_forbidden_after_the_first_clause_are_named(run):
    forbid = (
        "\n@pytest.fixture(autouse=True)\n"
        "def forbidden(monkeypatch):\n"
        "    monkeypatch.setattr(socket, 'socket', guarded)\n"
    )
    result = run(NO_SOCKETS + FACTORY.format(module="model_client") + forbid)
    assert_usage_error(result, "conftest has replaced the sockets of this process")


@pytest.mark.parametrize(
    ("library", "mock"),
    [
        ("freezegun", "freezegun.freeze_time('2020-01-01')"),
        ("time_machine", "time_machine.travel('2020-01-01', tick=False)"),
    ],
)
def test_a_frozen_clock_around_the_run_changes_no_verdict(run, library, mock):
    conftest = f"import {library}\n{FACTORY}{FOR_THE_SESSION}"
    conftest = conftest.format(module="model_client", mock=mock)
    result = run(conftest, "--contract-only", "refresh.ahead,refresh.honours-expires-in")
    assert result.ret == 0
    assert "3 passed" in result.stdout.str()


# It does not observe NO_PROXY, as a client that passes the proxy to its HTTP library by itself.
PROXIED = """
import os, requests

class Client:
    def __init__(self, config):
        self.config = config
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (config.client_id, config.client_secret)
        self.session.proxies = {"http": os.environ.get("HTTP_PROXY")}

    def get_token(self):
        form = {"grant_type": "client_credentials"}
        return self.session.post(self.config.token_url, form, timeout=5).json()["access_token"]
"""


def test_a_proxy_that_the_client_uses_for_this_machine_is_named(check, pytester):
    pytester.makepyfile(proxied=PROXIED)
    arguments = ("proxied.py:Client", "--only", "request.method")
    done = check(*arguments, HTTP_PROXY="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "mockbroker: HTTP_PROXY: the client sends its requests to the proxy of the environment, "
        "although NO_PROXY has the broker's address; unset the variable for the check\n"
    )
    assert check(*arguments).returncode == 0


@pytest.mark.parametrize(
    "variable", ["http_proxy", pytest.param("ALL_PROXY", marks=pytest.mark.slow)]
)
def test_a_proxy_of_the_environment_does_not_concern_other_clients(check, variable):
    model = str(ROOT / "examples" / "model_client.py")
    driver = f"{sys.executable} {ROOT / 'examples' / 'drivers' / 'model_client.py'}"
    for client in ([model], ["--exec", driver]):
        arguments = (*client, "--only", "request.method", "--examples", "1")
        assert check(*arguments, **{variable: "http://127.0.0.1:9"}).returncode == 0
