"""Clients in the host, and what becomes of a host that a client has broken or ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest

from mockbroker.model.client import ClientConfig
from mockbroker_contract.drivers.failures import ClientCrashed, NotTested
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the host is a POSIX program")

CONFIG = ClientConfig(
    token_url="http://127.0.0.1:1/token",
    api_base_url="http://127.0.0.1:1/v2",
    client_id="client",
    client_secret="s3cret",
)
CLIENT = """
import os, signal, sys, threading
from mockbroker_contract.drivers.host import session

def wait():
    threading.Event().wait()

def fork():
    return "child" if os.fork() == 0 else "parent"

def forge():
    session.Session._token = lambda *_: {"ok": {}}

def break_host(name):
    setattr(session.Session, name, None)

def write_everywhere():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b"no answer\\n")
        except OSError:
            pass

class Client:
    def __init__(self, config):
        self.config = config

    def get_token(self):
        return GET_TOKEN

    def __repr__(self):
        return REPR

    def close(self):
        CLOSE

def make_client(config):
    return Client(config)
"""


@pytest.fixture
def clients_of(tmp_path):
    """Make clients, of which some parts are other expressions than usual."""
    with contextlib.ExitStack() as exits:

        def make(more="", **parts: str) -> PythonClients:
            text = CLIENT
            for name, usual in {"get_token": "'t'", "repr": "'a client'", "close": "pass"}.items():
                text = text.replace(name.upper(), parts.get(name, usual))
            file = tmp_path / "client.py"
            file.write_text(text + more)
            sandbox = exits.enter_context(contextlib.closing(Sandbox()))
            clients = PythonClients(f"{file}:make_client")
            clients.use_sandbox(sandbox)
            exits.callback(clients.close)
            return clients

        yield make


@contextlib.contextmanager
def opened(clients, deadline=10.0) -> Iterator:
    client = clients.driver(CONFIG, deadline)
    assert client.open().error is None
    yield client
    client.close()


def test_a_host_is_started_for_its_description_too(clients_of):
    assert clients_of().description["name"].endswith("client:make_client")


@pytest.mark.parametrize("use", ["get_token", "exposed", "burst"])
def test_a_client_that_does_not_return_hangs_and_ends_the_others(clients_of, use):
    clients = clients_of(get_token="wait()", repr="wait()")
    with opened(clients) as other, opened(clients, deadline=0.3) as client:
        client.watch()
        if use == "get_token":
            assert client.get_token().hung
        elif use == "exposed":
            assert client.exposed() is None
        else:
            assert [each.hung for each in client.get_tokens_at_once(2)] == [True, True]
        with pytest.raises(NotTested, match="another client in it hung"):
            other.get_token()


def test_a_close_that_hangs_is_the_last_one(clients_of, monkeypatch):
    monkeypatch.setattr("mockbroker_contract.drivers.python_driver._CLOSING_SECONDS", 0.3)
    clients = clients_of(close="wait()")
    with opened(clients):
        pass
    with opened(clients) as client:
        assert client.get_token().value == "t"
        host = clients.description
    # A second close that hung would have ended the host.
    with opened(clients):
        assert clients.description is host


def test_a_close_that_ends_the_process_costs_the_next_client_nothing(clients_of):
    clients = clients_of(close="os._exit(3)")
    for _ in range(2):
        with opened(clients) as client:
            assert client.get_token().value == "t"


def test_the_child_of_a_client_that_forks_gives_no_answer(clients_of):
    with opened(clients_of(get_token="fork()")) as client:
        assert [client.get_token().value for _ in range(3)] == ["parent"] * 3


def test_a_client_may_close_every_descriptor(clients_of):
    with opened(clients_of(get_token="str(os.closerange(3, 4096))")) as client:
        assert [client.get_token().value for _ in range(3)] == ["None"] * 3


def test_what_a_client_writes_to_other_descriptors_is_not_an_answer(clients_of):
    with (
        opened(clients_of(get_token="str(write_everywhere())")) as client,
        pytest.raises(ClientCrashed, match="wrote into the connection of the client's host"),
    ):
        client.get_token()


def test_a_client_that_kills_its_launcher_is_followed_by_another(clients_of):
    clients = clients_of(get_token="str(os.kill(os.getppid(), signal.SIGKILL))")
    for _ in range(2):
        with contextlib.suppress(ClientCrashed), opened(clients) as client:
            client.get_token()
        clients.end()
    with opened(clients) as client:
        assert client.leaves_something_running is False


def test_an_answer_that_the_client_has_changed_is_a_crash(clients_of):
    with opened(clients_of(get_token="str(forge())")) as client:
        client.get_token()
        with pytest.raises(ClientCrashed, match="its answer to get_token has an invalid shape"):
            client.get_token()


def test_a_host_that_a_client_has_broken_is_replaced_for_the_next_client(clients_of):
    clients = clients_of(get_token="str(break_host('_open'))")
    with opened(clients) as client:
        assert client.get_token().value == "None"
        with opened(clients) as following:
            assert following.get_token().value == "None"
        with pytest.raises(NotTested):
            client.get_token()


def test_a_host_that_is_broken_in_use_is_a_crash_of_the_client(clients_of):
    with opened(clients_of(get_token="str(break_host('_get_token'))")) as client:
        client.get_token()
        with pytest.raises(ClientCrashed) as caught:
            client.get_token()
    assert "the client broke its own process: TypeError: 'NoneType' object" in str(caught.value)
    assert "session.py, line" in str(caught.value)


def test_a_module_that_breaks_its_host_cannot_be_imported(clients_of):
    clients = clients_of(more="\nsession._version_of = None\n")
    with pytest.raises(TargetError, match="cannot be imported: the client broke its own process"):
        assert clients.description


def test_an_import_that_waits_is_one_sentence(clients_of, monkeypatch):
    monkeypatch.setattr("mockbroker_contract.drivers.python_host._HELLO_SECONDS", 0.3)
    with pytest.raises(TargetError, match=r"was still being imported after 0\.3 s; import"):
        assert clients_of(more="\nwait()\n").description


def test_a_new_host_has_the_clock_and_the_time_zone_of_the_one_before(clients_of):
    clients = clients_of(get_token="os.environ.get('TZ', '')")
    virtual, real = clients.times()
    with virtual.frozen(), virtual.before_the_clocks_go_back(60):
        for _ in range(2):
            with opened(clients) as client:
                assert client.get_token().value.startswith("CST6CDT")
            clients.end()
    with real.frozen(), opened(clients) as client:
        assert not client.get_token().value.startswith("CST6CDT")
