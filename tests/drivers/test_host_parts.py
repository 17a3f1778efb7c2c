"""The parts of the host and of the connection to it, each by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
import types

import pytest

from mockbroker.model.client import ClientConfig
from mockbroker_contract.drivers import host_patience
from mockbroker_contract.drivers.host.clients import HostedClient, capabilities_of
from mockbroker_contract.drivers.host.clock import HostClock
from mockbroker_contract.drivers.host.errors import plain_error
from mockbroker_contract.drivers.host.exposure import Exposure
from mockbroker_contract.drivers.host.loops import is_written_for_trio
from mockbroker_contract.drivers.host_connection import HostConnection, HostSocket
from mockbroker_contract.drivers.host_output import Output
from mockbroker_contract.timing.shared_clock import SharedClock

CONFIG = ClientConfig(
    token_url="http://127.0.0.1:1/token",
    api_base_url="http://127.0.0.1:1/v2",
    client_id="client",
    client_secret="s3cret",
)


# -- errors of the client ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "remark"),
    [
        (OSError(errno.EMFILE, "too many"), "descriptors open)"),
        (RuntimeError("can't start new thread"), "threads)"),
        (MemoryError(), "(the client's process has no more memory)"),
        (RuntimeError("time-machine cannot start when freezegun is active"), "use freezegun in"),
    ],
)
def test_an_error_says_what_its_process_lacked(error, remark):
    assert remark in plain_error(error)["message"]
    cause = ValueError("no token")
    cause.__cause__ = error
    assert plain_error(cause)["message"].startswith("no token")
    assert remark in plain_error(cause)["message"]


class Broken(Exception):  # noqa: N818 - its parts raise
    @property
    def __cause__(self):
        raise RuntimeError("no cause")

    @property
    def __dict__(self):
        raise RuntimeError("no attributes")


def test_an_exception_whose_parts_raise_is_shown_all_the_same():
    plain = plain_error(Broken("no token"))
    assert (plain["name"], plain["message"]) == ("Broken", "no token")
    assert plain["texts"] == ["no token", "Broken('no token')"]


class Shy:
    def __repr__(self):
        return "shy"

    @property
    def __dict__(self):
        raise RuntimeError("no attributes")


def test_a_client_whose_attributes_cannot_be_read_shows_its_repr():
    exposure = Exposure()
    exposure.add_reprs(Shy())
    assert exposure.take() == [("the repr of Shy", "shy")]


# -- one client ----------------------------------------------------------------------------------


@pytest.fixture
def clock(tmp_path):
    return HostClock(SharedClock.create(tmp_path / "clock", 0))


@pytest.fixture
def hosted(clock):
    """Make a client of the host, in this process."""
    made = []

    def make(subject):
        client = HostedClient(lambda _: subject, CONFIG, clock)
        made.append(client)
        assert client.open().error is None
        return client

    yield make
    for client in made:
        client.end_loop()


def values(results):
    return [each.value for each in results]


def test_a_function_is_a_client_that_returns_a_token(hosted):
    client = hosted(lambda: "t")
    assert capabilities_of(client.subject) == ("get_token",)
    assert client.get_token().value == "t"
    assert values(client.burst("get_token", 3)) == ["t"] * 3


def test_a_function_may_return_what_has_to_be_awaited(hosted):
    async def token():
        await asyncio.sleep(0)
        return "t"

    client = hosted(lambda: token())  # noqa: PLW0108 - not a coroutine function itself
    assert client.get_token().value == "t"
    assert values(client.burst("get_token", 3)) == ["t"] * 3
    assert not client.is_busy


@types.coroutine
def old_coroutine():
    yield
    return "t"


def test_a_generator_is_awaited_if_it_is_a_coroutine(hosted):
    assert hosted(old_coroutine).get_token().value == "t"
    generator = hosted(lambda: (each for each in "t")).get_token().value
    assert isinstance(generator, types.GeneratorType)


def test_a_task_that_goes_on_is_work_of_the_client_and_ends_with_its_loop(clock):
    tasks, ended = [], threading.Event()

    async def refresh():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def token():
        tasks.append(asyncio.ensure_future(refresh()))
        return "t"

    client = HostedClient(lambda _: token, CONFIG, clock)
    client.open()
    assert client.get_token().value == "t"
    assert client.is_busy
    client.end_loop()
    assert ended.is_set()


def test_an_error_of_the_loop_is_the_clients_error(hosted):
    async def token():
        raise RuntimeError("no token")

    assert str(hosted(token).get_token().error) == "no token"


class Claims:
    """A client whose operation cannot be asked what it is."""

    class get_token:  # noqa: N801 - it is called like a method
        def __init__(self):
            self.token = "t"

        @property
        def __class__(self):
            raise RuntimeError("no class")

        def __call__(self):
            return self.token

    get_token = get_token()  # type: ignore[misc,assignment]


def test_an_operation_that_hides_its_class_is_called(hosted):
    assert values(hosted(Claims()).burst("get_token", 2)) == ["t", "t"]


def test_uses_that_cannot_be_started_at_once_have_the_error_of_the_threads(hosted, monkeypatch):
    start, started = threading.Thread.start, []

    def start_one(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    client = hosted(lambda: "t")
    monkeypatch.setattr(threading.Thread, "start", start_one)
    errors = [str(each.error) for each in client.burst("get_token", 3)]
    assert errors == ["can't start new thread"] * 3
    started[0].join()


def test_an_object_without_a_module_says_nothing_of_its_framework():
    pytest.importorskip("trio")
    assert not is_written_for_trio(object(), type("C", (), {"__module__": "no.such.module"}))


# -- the connection ------------------------------------------------------------------------------


def test_a_socket_below_a_long_path_lies_in_a_short_one(tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    host_socket = HostSocket(folder)
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(str(host_socket.path))
    host_socket.close()
    assert not host_socket.path.parent.exists()


def test_a_request_that_was_lost_with_its_connection_is_sent_again():
    connection = HostConnection()
    secret = connection.begin()
    first, _host = socket.socketpair()
    second, host = socket.socketpair()
    with first, second, _host, host:
        connection.receive(first, f'{{"secret": "{secret}", "read": 0}}'.encode())
        connection.send(b"request\n")
        connection.lose(first)
        assert connection.source is None
        for greeting in ('{"secret": "another", "read": 0}', '{"read": 0}', "[]", "hello"):
            connection.receive(second, greeting.encode())
            assert connection.source is None
        connection.receive(second, f'{{"secret": "{secret}", "read": 0}}'.encode())
        assert connection.source is second
        assert host.recv(100) == b"request\n"


def test_the_output_of_a_debugged_client_is_not_changed(capfd):
    shown = []
    output = Output(lambda: True)
    output.show = shown.append
    output.add(b"(Pdb) ")
    assert capfd.readouterr().err == "(Pdb) "
    assert shown == []
    assert output.since(1) == "Pdb) "


def test_a_process_that_computes_without_end_is_not_waited_for(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(host_patience, "real_seconds", lambda: now[0])
    busy = host_patience.Patience(os.getpid(), deadline=100.0, computed=1.1)
    unknown = host_patience.Patience(0, deadline=100.0, computed=1.1)
    now[0] = 1.0
    assert not busy.is_over()
    assert not unknown.is_over()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    now[0] = 1.2
    assert busy.is_over()
    assert not unknown.is_over()
    now[0] = 100.0
    assert unknown.is_over()
