"""The server when connections, descriptors or threads run out."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from urllib.parse import urlsplit

import pytest
import requests

from mockbroker import Broker, Credentials, throw_away_certificate
from mockbroker.server import ports
from mockbroker.server.acceptor import Acceptor
from mockbroker.server.pool import ConnectionPool
from tests.broker.programs import serving, token_url
from tests.broker.wires import connect, read_answer, token_request

GRANT = {"grant_type": "client_credentials"}
SHOP = ("shop", "s3cr:et")
LONG_REQUEST = b"GET /v2/" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@contextmanager
def closing_all(sockets: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for sock in sockets:
            sock.close()


def connections(url: str, count: int, first: bytes = b"") -> list[socket.socket]:
    """So many connections, or as many as come about, each with these bytes sent and no more."""
    parts, made = urlsplit(url), []
    for _ in range(count):
        with contextlib.suppress(OSError):
            made.append(socket.create_connection((parts.hostname, parts.port), timeout=5))
            made[-1].sendall(first)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limit")
@pytest.mark.parametrize("limit", [24, 64])
@pytest.mark.parametrize("first", [b"", b"POST /auth"])
def test_few_descriptors_and_many_idle_connections_keep_nobody_from_an_answer(limit, first):
    import resource  # noqa: PLC0415 - not on every platform

    with serving("--client", "shop:s3cr:et") as (process, banner):
        url = token_url(banner)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with closing_all(connections(url, 300, first)):
            for _ in range(3):
                assert requests.post(url, data=GRANT, auth=SHOP, timeout=5).status_code == 200
        assert requests.post(url, data=GRANT, auth=SHOP, timeout=5).status_code == 200
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "cannot accept connections (Too many open files)" in errors
    assert "ulimit -n" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("first", [b"", HELLO[:1], HELLO])
def test_silent_tls_connections_are_closed_like_silent_plain_ones(tmp_path, monkeypatch, first):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 8)
    with (
        Broker().running(tls=throw_away_certificate(tmp_path)) as broker,
        closing_all(connections(broker.api_url, 30, first)),
    ):
        answer = requests.get(broker.api_url, verify=broker.ca_file, timeout=5)
        assert answer.status_code == 401


def test_a_kept_tls_connection_is_not_closed_while_there_is_room(tmp_path):
    with Broker(credentials=Credentials(*SHOP)).running(
        tls=throw_away_certificate(tmp_path)
    ) as broker:
        context = ssl.create_default_context(cafile=broker.ca_file)
        with (
            closing_all(connections(broker.api_url, 30)),
            connect(broker) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            for _ in range(3):
                sock.sendall(token_request(broker))
                assert read_answer(sock).startswith(b"HTTP/1.1 200")


def test_a_burst_of_silent_connections_beyond_the_limit_makes_way(monkeypatch):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 4)
    with Broker().running() as broker, closing_all(connections(broker.api_url, 60)):
        assert requests.get(broker.api_url, timeout=5).status_code == 401


def test_peers_that_do_not_read_their_answers_make_way(monkeypatch):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 3)
    with Broker().running() as broker:
        deaf = connections(broker.api_url, 3)
        with closing_all(deaf):
            for sock in deaf:
                sock.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    sock.sendall(2000 * LONG_REQUEST)
            assert requests.get(broker.api_url, timeout=5).status_code == 401


@contextmanager
def threads_limited(monkeypatch: pytest.MonkeyPatch, limit: int) -> Iterator[None]:
    """Have the system start no more than so many threads that serve."""
    start, lock, started = threading.Thread.start, threading.Lock(), []

    def start_or_fail(thread: threading.Thread) -> None:
        if thread.name == "mockbroker-serve":
            with lock:
                if len(started) >= limit:
                    raise RuntimeError("can't start new thread")
                started.append(thread)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_or_fail)
        yield


def test_few_threads_and_many_idle_connections_keep_nobody_from_an_answer(monkeypatch, caplog):
    with (
        threads_limited(monkeypatch, 3),
        Broker().running() as broker,
        closing_all(connections(broker.api_url, 20)),
    ):
        for _ in range(3):
            assert requests.get(broker.api_url, timeout=5).status_code == 401
    assert caplog.text.count("the system starts no more than 3 threads") == 1
    assert len(caplog.records) == 1


def test_a_broker_without_any_thread_serves_again_once_there_is_one(monkeypatch):
    with Broker().running() as broker:
        with threads_limited(monkeypatch, 0), connect(broker) as sock:
            assert sock.recv(1) == b""
        assert requests.get(broker.api_url, timeout=5).status_code == 401


class FailingListener:
    """A listening socket whose first ``accept`` raises."""

    def __init__(self, listener: socket.socket, error: BaseException) -> None:
        self._listener, self._errors = listener, [error]

    def accept(self) -> tuple[socket.socket, object]:
        if self._errors:
            raise self._errors.pop()
        return self._listener.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)


@contextlib.contextmanager
def accepting(listener_of):
    """An acceptor that runs, and a function that connects to it and waits until it accepts."""
    accepted: SimpleQueue[socket.socket] = SimpleQueue()

    def accept_one():
        with socket.create_connection(listener.getsockname()):
            accepted.get(timeout=5).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        pool = ConnectionPool(socket.socket.close, pytest.fail)
        acceptor = Acceptor(listener_of(listener), accepted.put, pool)
        loop = threading.Thread(target=acceptor.run)
        loop.start()
        try:
            yield acceptor, accept_one
        finally:
            acceptor.interrupt()
            loop.join(5)
            acceptor.close()


@pytest.mark.parametrize(
    ("error", "shortages", "logged"),
    [
        (ConnectionAbortedError(), 0, ""),
        (MemoryError(), 1, "(Cannot allocate memory): the idlest are closed to make room"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            1,
            "(Too many open files): the idlest are closed to make room; `ulimit -n` raises",
        ),
        (OSError(errno.EPERM, "Operation not permitted"), 0, "not permitted): trying again"),
    ],
)
def test_a_connection_is_accepted_after_an_error_of_the_system(error, shortages, logged, caplog):
    with accepting(lambda listener: FailingListener(listener, error)) as (acceptor, accept_one):
        accept_one()
    assert acceptor.shortages == shortages
    assert logged in caplog.text
    assert bool(caplog.records) == bool(logged)


def test_an_order_that_changes_nothing_leaves_the_port_as_it_is():
    with accepting(lambda listener: listener) as (acceptor, accept_one):
        acceptor.set_refusing(refuses=False)
        accept_one()


def test_a_port_on_which_the_system_does_not_listen_is_closed(monkeypatch):
    def refuse(bound: socket.socket) -> None:
        seen.append(bound)
        raise OSError(errno.EADDRINUSE, "Address already in use")

    seen: list[socket.socket] = []
    monkeypatch.setattr(ports, "listen_on", refuse)
    with pytest.raises(OSError, match="already in use"):
        ports.listen_at("127.0.0.1", 0)
    assert [each.fileno() for each in seen] == [-1]
