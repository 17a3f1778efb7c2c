"""Connections that wait for their next request, which the accepting loop watches and answers.

The first answer on each is given by a thread, so each test uses a connection twice.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from mockbroker import Broker, Credentials, Fault, Server
from mockbroker.server.acceptor import Acceptor
from mockbroker.server.pool import ConnectionPool, Turn, Waiting
from mockbroker.server.wire import Connection
from tests.broker.wires import connect, read_all, read_answer, token_request

OK = b"HTTP/1.1 200"


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(credentials=Credentials("shop", "s3cr:et")).running() as running:
        yield running


def call(broker: Broker, path: str) -> bytes:
    """A signed call of a route, on a connection of its own until then."""
    with connect(broker) as sock:
        token = json.loads(ask(broker, sock).partition(b"\r\n\r\n")[2])["access_token"]
    prefix = urlsplit(broker.api_url).path
    return (
        f"GET {prefix}{path} HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


@contextlib.contextmanager
def kept(broker: Broker) -> Iterator[socket.socket]:
    """A connection that has been used once, and waits for the next request."""
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        assert read_answer(sock)
        yield sock


def ask(broker: Broker, sock: socket.socket) -> bytes:
    sock.sendall(token_request(broker))
    return read_answer(sock)


def test_a_delayed_answer_holds_up_no_other_connection(broker):
    with kept(broker) as slow, kept(broker) as other:
        broker.script(Fault.delay(60))
        seen = threading.Event()
        broker.journal.subscribe(lambda _: seen.set(), is_prompt=True)
        slow.sendall(token_request(broker))
        assert seen.wait(5)
        assert ask(broker, other).startswith(OK)
        broker.reset()
        assert read_answer(slow).startswith(OK)


@pytest.mark.parametrize("place", ["handler", "subscriber", "token value"])
def test_what_waits_in_a_tests_own_code_holds_up_no_other_connection(broker, place):
    go_on, waits = threading.Event(), threading.Event()

    def wait(*_: object) -> str:
        # Only the first one waits, so that the others show that they can overtake it.
        if not waits.is_set():
            waits.set()
            assert go_on.wait(10)
        return f"token-{broker.journal.total}"

    with kept(broker) as slow, kept(broker) as other:
        request = token_request(broker)
        signed = call(broker, "/vehicle")
        if place == "handler":
            broker.api.route("GET", "/vehicle", handler=wait)
            request = signed
        elif place == "subscriber":
            broker.journal.subscribe(wait)
        else:
            broker.token_values = wait
        slow.sendall(request)
        assert waits.wait(5)
        assert ask(broker, other)
        go_on.set()
        assert read_answer(slow).startswith(OK)


def test_a_request_that_comes_in_pieces_holds_up_no_other_connection(broker):
    with kept(broker) as slow, kept(broker) as other:
        request = token_request(broker)
        for piece in (request[:9], request[9:-5]):
            slow.sendall(piece)
            assert ask(broker, other)
        slow.sendall(request[-5:])
        assert read_answer(slow).startswith(OK)


def test_a_peer_that_does_not_read_a_long_answer_holds_up_no_other_connection(broker):
    broker.api.route("GET", "/long", json="x" * 20_000_000)
    with kept(broker) as deaf, kept(broker) as other:
        deaf.sendall(call(broker, "/long"))
        assert ask(broker, other)
        assert len(read_answer(deaf)) > 20_000_000
        assert ask(broker, deaf)


def test_two_requests_that_arrive_at_once_are_answered_in_their_order(broker):
    broker.api.route("GET", "/one", json=1)
    broker.api.route("GET", "/two", json=2)
    with kept(broker) as sock:
        sock.sendall(call(broker, "/one") + call(broker, "/two"))
        received = b""
        while not received.endswith(b"\r\n\r\n2"):
            received += sock.recv(65536)
        assert received.index(b"\r\n\r\n1") < received.index(b"\r\n\r\n2")


def test_an_odd_request_after_a_plain_one_is_answered_as_on_a_new_connection(broker):
    with kept(broker) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 400")
    with kept(broker) as sock:
        sock.sendall(b"GET /" + 101 * b"\r\na: b" + b"\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 431")


def test_a_refusing_port_refuses_from_the_answer_of_a_kept_connection_on(broker):
    with kept(broker) as sock:
        broker.script(Fault.status(503), Fault.refuse(), Fault.status(418))
        assert ask(broker, sock).startswith(b"HTTP/1.1 503")
        with pytest.raises(ConnectionRefusedError):
            connect(broker).close()
        broker.clear_scripts()
        connect(broker).close()


def test_kept_connections_make_way_for_others(monkeypatch):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 2)
    with Broker().running() as broker, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(kept(broker))
        for _ in range(3):
            with connect(broker) as sock:
                assert ask(broker, sock)


def test_a_kept_connection_ends_when_it_was_idle_for_long(broker, monkeypatch):
    with kept(broker) as sock:
        assert ask(broker, sock)
        monkeypatch.setattr("mockbroker.server.acceptor.IDLE_LIMIT_SECONDS", 0.0)
        # Any event makes the loop look at those that wait.
        connect(broker).close()
        assert read_all(sock) == b""


def test_the_end_of_a_server_closes_kept_connections():
    server, broker = Server(), Broker()
    server.mount(broker)
    server.start()
    with kept(broker) as sock:
        assert ask(broker, sock)
        server.stop()
        assert read_all(sock) == b""


class Mistaken:
    """A connection whose turn fails by a mistake."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def answer_at_hand(self) -> Turn:
        self.sock.recv(1)
        raise RuntimeError("a mistake")

    def serve(self) -> bool:
        raise AssertionError("it has ended")


def test_a_mistake_in_the_turn_of_one_connection_leaves_the_loop_at_work(caplog):
    acceptors: list[Acceptor] = []

    def watch(waiting: Waiting) -> None:
        acceptors[0].watch(waiting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        pool = ConnectionPool(Mistaken, watch)
        acceptors.append(Acceptor(listener, pool.take, pool))
        loop = threading.Thread(target=acceptors[0].run)
        loop.start()
        for _ in range(2):
            with socket.create_connection(listener.getsockname()) as peer:
                peer.sendall(b".")
                assert read_all(peer) == b""
        acceptors[0].interrupt()
        loop.join(5)
        pool.stop()
        acceptors[0].close()
    assert caplog.text.count("RuntimeError: a mistake") == 2


def plain_app(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "4")])
    return [b"text"]


@contextlib.contextmanager
def watched() -> Iterator[tuple[socket.socket, Connection]]:
    """A connection whose requests are answered at hand, and its peer."""
    peer, sock = socket.socketpair()
    with peer, sock:
        sock.settimeout(0)
        yield (
            peer,
            Connection(
                sock,
                plain_app,
                "http://h:1",
                lambda _: None,
                lambda _: None,
                is_prompt=lambda _: True,
            ),
        )


def test_a_connection_that_ends_in_its_turn_says_so():
    with watched() as (peer, connection):
        peer.close()
        assert connection.answer_at_hand() is Turn.ENDED


def test_an_answer_that_the_system_does_not_take_is_sent_by_a_thread():
    with watched() as (peer, connection):
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += connection.sock.send(b"x" * 1000)
        peer.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.answer_at_hand() is Turn.NEEDS_THREAD
        served = threading.Thread(target=connection.serve)
        served.start()
        received = b""
        while not received.endswith(b"text"):
            received += peer.recv(65536)
        served.join(5)
        assert received[filled:].startswith(OK)


def test_a_connection_that_breaks_in_its_turn_leaves_the_loop_at_work(broker):
    with kept(broker) as broken, kept(broker) as other:
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        broken.close()
        assert ask(broker, other).startswith(OK)
        assert ask(broker, other).startswith(OK)


def test_a_pool_that_stops_closes_what_waits_for_a_thread_and_takes_nothing_back():
    begun, go_on = threading.Event(), threading.Event()

    def serve(_: socket.socket) -> None:
        begun.set()
        go_on.wait(10)

    pool = ConnectionPool(serve, pytest.fail, limit=1)
    pairs = [socket.socketpair() for _ in range(2)]
    for _, sock in pairs:
        pool.take(sock)
    assert begun.wait(5)
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    assert read_all(pairs[1][0]) == b""
    with watched() as (_, connection):
        # Its thread would serve it, and no thread takes anything any more.
        pool.resume(connection)
    go_on.set()
    stopping.join(5)
    assert not stopping.is_alive()
    for peer, _ in pairs:
        peer.close()
