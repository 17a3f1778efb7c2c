"""The life of a server on real sockets: ports, what it carries, mistakes, and its end."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

import pytest
import requests

from mockbroker import Broker, Fault, Server
from mockbroker.broker.answers import Reply
from mockbroker.model.messages import Request, Response
from mockbroker.server.application import BODY_LIMIT_BYTES, Mounts, create_app
from mockbroker.server.pool import ConnectionPool
from mockbroker.server.wire import Connection
from tests.broker.wires import connect, read_all, read_answer, token_request


def test_stopping_ends_a_stall_and_closes_idle_connections():
    server = Server()
    broker = Broker()
    server.mount(broker)
    server.start()
    broker.script(Fault.stall(60))
    idle, stalled = connect(broker), connect(broker)
    seen = threading.Event()
    broker.journal.subscribe(lambda _: seen.set())
    stalled.sendall(b"POST /auth-broker/request-token HTTP/1.1\r\nHost: h\r\n\r\n")
    assert seen.wait(5)
    began = time.monotonic()
    server.stop()
    server.stop()
    assert time.monotonic() - began < 3
    assert idle.recv(1) == b""
    idle.close()
    stalled.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("mockbroker-")]


def test_a_taken_port_is_an_os_error():
    with Server() as first, pytest.raises(OSError, match="in use"):
        Server(port=first.port)


def test_one_server_carries_many_brokers_and_says_what_it_does_not_carry():
    with Server() as server:
        brokers = {"": Broker(), "/x7f3": Broker(), "/acme": Broker(profile="rfc6749")}
        for prefix, broker in brokers.items():
            server.mount(broker, prefix)
        for broker in brokers.values():
            pair = (broker.credentials.client_id, broker.credentials.client_secret)
            data = {"grant_type": "client_credentials"}
            answer = requests.post(broker.token_url, data=data, auth=pair, timeout=5)
            assert answer.status_code == 200
            assert len(broker.journal) == 1
        with pytest.raises(ValueError, match="already"):
            server.mount(Broker(), "/acme")
        gone = brokers["/acme"].token_url
        server.unmount("/acme")
        server.unmount("")
        answer = requests.get(gone, timeout=5)
        assert answer.status_code == 404
        assert "no broker is mounted" in answer.json()["message"]
        with pytest.raises(RuntimeError, match="not running"):
            str(brokers["/acme"].token_url)


class Echo:
    """Not a broker, but it can be mounted."""

    def __init__(self) -> None:
        self.places: list[tuple[str, str, str | None] | None] = []

    asks_for_certificates = False
    is_prompt = True

    def accepted_certificates(self) -> tuple[str, ...]:
        return ()

    def handle(self, request: Request, origin: str) -> Reply:
        body = f"{request.method} {request.target} at {origin}".encode()
        return Reply(response=Response(200, body=body))

    def mounted_at(
        self, origin: str, prefix: str, ca_file: str | None = None, connections: object = None
    ) -> None:
        self.places.append((origin, prefix, ca_file))

    def unmounted(self) -> None:
        self.places.append(None)


def test_a_server_carries_whatever_answers_requests():
    echo = Echo()
    with Server() as server:
        server.mount(echo, "/echo")
        answer = requests.put(f"{server.origin}/echo/a?b=c", timeout=5)
        assert answer.text == f"PUT /echo/a?b=c at {server.origin}"
    assert echo.places == [(server.origin, "/echo", None), None]


def test_another_wsgi_server_can_run_the_application():
    mounts, echo = Mounts(), Echo()
    mounts["/echo"] = echo
    assert len(mounts) == 1
    client = create_app(mounts).test_client()
    assert client.get("/echo/a?b=c").text == "GET /echo/a?b=c at http://localhost"
    assert client.get("/other").status_code == 404
    too_long = client.post("/echo", data=b"x" * (BODY_LIMIT_BYTES + 1))
    assert (too_long.status_code, too_long.json["error"]) == (413, True)


@pytest.mark.parametrize("fault", [Fault.reset(), Fault.cut_short(), Fault.stall(1)])
def test_another_wsgi_server_says_which_fault_it_cannot_do(fault):
    mounts, broker = Mounts(), Broker()
    mounts[""] = broker
    broker.script(fault)
    client = create_app(mounts).test_client()
    token_path, grant = broker.profile.own_token_path, {"grant_type": "client_credentials"}
    answers = [client.post(token_path, data=grant, auth=broker.auth) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert "a scripted fault" in answers[0].json["message"]


@pytest.mark.parametrize("prefix", ["x", "/x/", "/"])
def test_a_malformed_prefix_is_refused(prefix):
    with Server() as server, pytest.raises(ValueError, match="prefix"):
        server.mount(Broker(), prefix)


def test_a_mistake_of_the_broker_itself_never_shows_a_traceback(broker, caplog):
    broker.token_values = lambda: 1 / 0
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        answer = read_answer(sock)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"Traceback" not in answer
    assert "ZeroDivisionError" in caplog.text


def test_a_port_is_free_again_after_a_server_that_found_no_descriptors(monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with monkeypatch.context() as patch:
        patch.setattr("mockbroker.server.listener.Acceptor", fail)
        with pytest.raises(OSError, match="Too many open files"):
            Server(port=port)
    Server(port=port).stop()


def test_a_mistake_in_serving_one_connection_leaves_the_pool_at_work(caplog):
    def serve(sock: socket.socket) -> None:
        if sock.recv(1) == b"!":
            raise RuntimeError("a mistake")
        sock.sendall(b"served")

    pool = ConnectionPool(serve, pytest.fail, limit=1)
    for sent, answer in ((b"!", b""), (b".", b"served")):
        peer, sock = socket.socketpair()
        with peer:
            pool.take(sock)
            peer.sendall(sent)
            assert read_all(peer) == answer
    pool.stop()
    assert "RuntimeError: a mistake" in caplog.text


def test_a_connection_serves_any_wsgi_application():
    """The body of an application may be a list, which has nothing to close."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return [environ["PATH_INFO"].encode()]

    peer, sock = socket.socketpair()
    with peer, sock:
        peer.sendall(b"GET /abc HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        Connection(sock, application, "http://h:1", lambda _: None, lambda _: None).serve()
        sock.close()
        assert read_all(peer).endswith(b"\r\n\r\n/abc")
