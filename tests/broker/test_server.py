"""The server on real sockets: requests as they came, and nobody held up by anybody."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import freezegun
import httpx
import pytest
import requests

from mockbroker import Broker, Fault, Server, throw_away_certificate
from mockbroker.broker.answers import Reply
from mockbroker.broker.faults import Manner, Sent
from mockbroker.model.messages import Request, Response
from mockbroker.server.application import BODY_LIMIT_BYTES, Mounts, create_app
from mockbroker.server.pool import ConnectionPool
from mockbroker.server.wire import CHUNKS, Connection
from tests.broker.wires import GRANT, connect, read_all, read_answer, token_request


def test_repeated_headers_are_kept_apart_in_order_and_spelling(lenient):
    with connect(lenient) as sock:
        sock.sendall(token_request(lenient, "X-one: a", "x-ONE: b", "Authorization: Bearer c"))
        read_answer(sock)
    headers = lenient.token_requests[0].request.headers
    assert [(n, v) for n, v in headers if n.lower() == "x-one"] == [("X-one", "a"), ("x-ONE", "b")]
    assert len(headers.get_all("authorization")) == 2


def test_the_request_target_is_kept_raw(broker):
    with connect(broker) as sock:
        sock.sendall(b"GET /v2//a%2Fb/%C3%A4?x=%20+&x= HTTP/1.1\r\nHost: h\r\n\r\n")
        read_answer(sock)
    assert broker.journal[0].request.target == "/v2//a%2Fb/%C3%A4?x=%20+&x="


def test_a_chunked_body_arrives_whole(broker):
    head = token_request(broker, body=b"")
    head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connect(broker) as sock:
        sock.sendall(head + b"5\r\ngrant\r\n18\r\n_type=client_credentials\r\n0\r\n\r\n")
        assert read_answer(sock).startswith(b"HTTP/1.1 200")
    assert broker.token_requests[0].request.body == GRANT


def test_expect_100_continue_is_answered_before_the_body(broker):
    message = token_request(broker, "Expect: 100-continue")
    head, body = message[: -len(GRANT)], message[-len(GRANT) :]
    with connect(broker) as sock:
        sock.sendall(head)
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert read_answer(sock).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_turn(broker):
    with connect(broker) as sock:
        sock.sendall(token_request(broker) + token_request(broker, "Connection: close"))
        assert read_all(sock).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 200_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n" + b"b" * 8000000, b"413"),
    ],
)
def test_what_is_no_http_or_too_much_is_refused(broker, message, status):
    with connect(broker) as sock:
        sock.sendall(message)
        assert sock.recv(100).split(b" ")[1] == status
    assert requests.get(broker.api_url, timeout=5).status_code == 401


def test_half_open_and_dripping_connections_hold_up_nobody(broker):
    half_open = [connect(broker) for _ in range(40)]
    for number, sock in enumerate(half_open):
        sock.sendall(b"POST /auth"[: number % 10])
    try:
        with ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            statuses = list(pool.map(lambda _: ask(broker), range(64)))
        assert statuses == [200] * 64
        assert time.monotonic() - began < 5
    finally:
        for sock in half_open:
            sock.close()


def ask(broker: Broker) -> int:
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        return int(read_answer(sock).split(b" ")[1])


def test_more_connections_than_the_limit_close_an_idle_one(monkeypatch):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 4)
    with Broker().running() as broker:
        idle = [connect(broker) for _ in range(4)]
        for sock in idle:
            sock.sendall(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n")
            read_answer(sock)
        assert requests.get(broker.api_url, timeout=5).status_code == 401
        closed, _, _ = select.select(idle, [], [], 5)
        assert [sock.recv(1) for sock in closed] == [b""]
        for sock in idle:
            sock.close()


def test_a_frozen_clock_that_jumps_an_hour_cuts_no_kept_connection(broker):
    with freezegun.freeze_time("2026-01-01", real_asyncio=True) as frozen, connect(broker) as sock:
        for _ in range(4):
            sock.sendall(token_request(broker))
            assert read_answer(sock).startswith(b"HTTP/1.1 200")
            frozen.tick(3600)
    times = [e.received_at for e in broker.token_requests]
    assert times == [times[0] + 3600 * hours for hours in range(4)]


def test_jumps_in_the_middle_of_a_request_do_not_cut_it(broker):
    message = token_request(broker)
    with freezegun.freeze_time("2026-01-01", real_asyncio=True) as frozen, connect(broker) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in message:  # so many pieces that the server reads between the jumps
            sock.send(bytes([byte]))
            frozen.tick(3600)
        assert read_answer(sock).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("manner", [each for each in Manner if each is not Manner.REFUSE])
def test_the_server_sends_as_much_as_each_manner_says(broker, manner):
    broker.script(Fault(manner=manner, spread_seconds=0.01))
    with connect(broker) as sock:
        sock.sendall(token_request(broker, "Connection: close"))
        try:
            head, _, body = read_all(sock).partition(b"\r\n\r\n")
        except ConnectionResetError:
            head, body = b"", b""
    if not head:
        received = Sent.NOTHING
    elif b"content-length" not in head.lower():
        received = Sent.ALL if body.rstrip().endswith((b"}", b"0")) else Sent.PART
    else:
        declared = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        received = Sent.ALL if len(body) == declared else Sent.PART
    assert received is manner.sent
    assert (broker.journal[0].response is not None) == (received is Sent.ALL)


def test_a_reset_is_a_reset(broker):
    broker.script(Fault.reset())
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert broker.journal[0].response is None
    assert broker.journal[0].fault == "reset"


def test_an_answer_cut_short_ends_before_its_declared_length(broker):
    broker.script(Fault.cut_short())
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    declared = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert 0 < len(body) < declared


def test_a_chunked_answer_has_several_chunks_and_no_length(broker):
    broker.script(Fault.chunked())
    with connect(broker) as sock:
        sock.sendall(token_request(broker, "Connection: close"))
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert b"content-length" not in head.lower()
    assert len(body.split(b"\r\n")) == 2 * CHUNKS + 3  # size and data of each, then 0 and two ends


def test_a_close_delimited_answer_ends_with_its_connection(broker):
    broker.script(Fault.close_delimited())
    with connect(broker) as sock:
        sock.sendall(token_request(broker))  # without Connection: close
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert not {b"content-length", b"transfer-encoding"} & set(head.lower().split())
    assert json.loads(body)["access_token"] == broker.journal[0].token.value


@pytest.mark.parametrize("fault", [Fault.chunked(), Fault.close_delimited()])
def test_an_answer_without_a_length_ends_properly_over_tls(tmp_path, fault):
    with Broker().running(tls=throw_away_certificate(tmp_path)) as broker:
        broker.script(fault)
        answer = httpx.post(
            broker.token_url,
            data={"grant_type": "client_credentials"},
            auth=(broker.credentials.client_id, broker.credentials.client_secret),
            verify=ssl.create_default_context(cafile=broker.ca_file),
        )
    assert answer.json()["access_token"]


@pytest.mark.parametrize(
    ("accepted", "coding", "sent"),
    [
        ("gzip, deflate", "gzip", "gzip"),
        ("gzip;q=0.5, deflate;q=0.25", "deflate", "deflate"),
        ("GZIP", "gzip", "gzip"),
        ("*", "gzip", "gzip"),
        ("br", "gzip", None),
        ("gzip;q=0, *", "gzip", None),
        ("gzip;q=0.000", "gzip", None),
        ("", "gzip", None),
        ("identity", "deflate", None),
    ],
)
def test_an_answer_is_compressed_only_if_the_client_allows_it(broker, accepted, coding, sent):
    broker.script(Fault.compressed(coding) & Fault.chunked())
    answer = requests.post(broker.token_url, headers={"Accept-Encoding": accepted}, timeout=5)
    assert answer.headers.get("Content-Encoding") == sent
    assert "error" in answer.json()


def test_an_answer_is_not_compressed_for_a_client_that_does_not_mention_it(broker):
    broker.script(Fault.compressed())
    with connect(broker) as sock:
        sock.sendall(token_request(broker, "Connection: close"))
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert b"content-encoding" not in head.lower()
    assert json.loads(body)["access_token"]


def test_a_drip_comes_in_pieces_over_its_time(broker):
    broker.script(Fault.drip(0.4))
    pieces = []
    with connect(broker) as sock:
        began = time.monotonic()
        sock.sendall(token_request(broker, "Connection: close"))
        while piece := sock.recv(65536):
            pieces.append(piece)
    assert len(pieces) > 5
    assert 0.3 < time.monotonic() - began < 3
    assert b"access_token" in b"".join(pieces)


def test_a_stall_ends_by_itself_without_an_answer(broker):
    broker.script(Fault.stall(0.2))
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        began = time.monotonic()
        assert read_all(sock) == b""
    assert 0.1 < time.monotonic() - began < 3


@pytest.mark.parametrize("end", [Broker.reset, Broker.release, Broker.unmounted])
@pytest.mark.parametrize("fault", [Fault.stall(60), Fault.delay(60), Fault.drip(60)])
def test_what_waits_ends_when_the_broker_is_reset_or_stopped(end, fault):
    with Broker().running() as broker:
        seen = threading.Event()
        broker.journal.subscribe(lambda _: seen.set())
        broker.script(fault)
        with connect(broker) as sock:
            sock.sendall(b"POST /auth-broker/request-token HTTP/1.1\r\nHost: h\r\n\r\n")
            assert seen.wait(5)
            end(broker)
            sock.settimeout(5)
            began = time.monotonic()
            read_until_silent(sock, fault)
            assert time.monotonic() - began < 5


def read_until_silent(sock: socket.socket, fault: Fault) -> None:
    if fault.manner.value == "stall":
        read_all(sock)
    else:
        read_answer(sock)


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


def test_tls_with_half_open_handshakes_holds_up_nobody(tmp_path):
    with Broker().running(tls=throw_away_certificate(tmp_path)) as broker:
        assert broker.token_url.startswith("https://127.0.0.1:")
        half_open = [connect(broker) for _ in range(10)]
        answer = requests.get(broker.api_url, verify=broker.ca_file, timeout=5)
        assert answer.status_code == 401
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(broker.api_url, timeout=5)
        for sock in half_open:
            sock.close()


@pytest.mark.parametrize(
    ("head", "status", "text"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nhush \x01\r\n\r\n",
            b"400",
            b"malformed HTTP request",
        ),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00hush\r\n\r\n", b"400", b"malformed HTTP request"),
        (b"hush\r\n\r\n", b"400", b"malformed HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: hush\r\n\r\n", b"501", b"than chunked"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"hush" * 20000, b"431", b"longer than 65536"),
    ],
)
def test_what_is_no_http_is_refused_in_words_that_quote_nothing(broker, head, status, text):
    with connect(broker) as sock:
        sock.sendall(head)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert text in answer
    assert b"hush" not in answer
    assert b"cache-control: no-store" in answer.lower()


def test_tls_at_a_port_without_it_is_told(broker):
    with connect(broker) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"this is TLS, and the port speaks plain HTTP" in answer


def test_a_request_that_does_not_end_in_time_is_told(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.intake.REQUEST_LIMIT_SECONDS", 0.1)
    with connect(broker) as sock:
        sock.sendall(token_request(broker)[:-3])
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"not complete after 0.1 s" in answer


@pytest.mark.parametrize("length", [10**7, 10**18])
def test_a_body_that_is_too_long_is_refused_before_it_is_sent(broker, length):
    head = token_request(broker, "Expect: 100-continue", body=b"")
    head = head.replace(b"Content-Length: 0", b"Content-Length: %d" % length)
    with connect(broker) as sock:
        sock.sendall(head)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in answer


def test_half_a_request_makes_room_for_a_whole_one(monkeypatch):
    monkeypatch.setattr("mockbroker.server.listener.CONNECTION_LIMIT", 3)
    with Broker().running() as broker:
        halves = [connect(broker) for _ in range(3)]
        for sock in halves:  # once answered, every connection has its thread
            sock.sendall(b"GET /v2/a HTTP/1.1\r\nHost: h\r\n\r\nGET /v2/b HTTP/1.1\r\nHo")
            read_answer(sock)
        with connect(broker) as sock:
            sock.sendall(b"GET /v2/c HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_answer(sock).startswith(b"HTTP/1.1 401")
        closed, _, _ = select.select(halves, [], [], 5)
        assert len(closed) == 1
        for sock in halves:
            sock.close()


def test_two_lengths_of_one_body_are_refused_and_the_connection_ends(broker):
    message = token_request(broker, "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    with connect(broker) as sock:
        sock.sendall(message + token_request(broker))
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"both a Transfer-Encoding and a Content-Length" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert len(broker.journal) == 0


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"CONNECT /v2/a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer TOKEN\r\n\r\n", 405),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405),
        (b"GET h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 400),
        (b"GET v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"OPTIONS /v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        (b"TRACE /v2/a HTTP/1.1\r\nHost: h\r\nX: hush\r\n\r\n", 401),
        (b"TRACE /v2/a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer TOKEN\r\n\r\n", 200),
        (b"get /v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        (b"head /v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        (b"post /auth-broker/request-token HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"GET http://h/v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        # The page is at the root, for names of this machine only.
        (b"GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n", 403),
        (b"GET http://localhost?x HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /v2/a HTTP/1.0\r\n\r\n", 401),
        (b"GET /v2/a HTTP/1.1\r\nHost: \xff\xfe/?\r\n\r\n", 401),
        (b"GET /v2/a HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 401),
        (b"GET /v2/a HTTP/1.1\r\nHost: h\r\nExpect: the-unexpected\r\n\r\n", 401),
        (b"\r\n\r\nGET /v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        (b"GET /v2/a HTTP/1.1\r\nHost", 400),
        (b"POST /v2/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na", 400),
    ],
)
def test_whatever_a_peer_sends_it_gets_one_answer_and_the_broker_no_traceback(
    broker, caplog, message, status
):
    with connect(broker) as sock:
        sock.sendall(token_request(broker))
        token = json.loads(read_answer(sock).partition(b"\r\n\r\n")[2])["access_token"]
    with connect(broker) as sock:
        sock.sendall(message.replace(b"TOKEN", token.encode()))
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"hush" not in answer
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b" /v2/a HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        (b" /v2/a HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n", 413),
        (b" /v2/a HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 150 + b"\r\n", 431),
        (b" /v2/a HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b" /v2/a HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400),
        (b" /v2/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b" nonsense\r\n\r\n", 400),
        (b" /v2/a HTT", 400),
    ],
)
def test_head_is_answered_by_a_head_and_no_body_whatever_is_wrong_with_it(
    broker, caplog, rest, status
):
    with connect(broker) as sock:
        sock.sendall(b"HEAD" + rest)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-length: " in head.lower()
    assert body == b""
    assert caplog.text == ""


def test_an_answer_survives_what_comes_after_the_last_request(broker):
    for _ in range(20):
        with connect(broker) as sock:
            sock.sendall(token_request(broker, "Connection: close") + b"\r\n" + b"x" * 100_000)
            assert read_all(sock).startswith(b"HTTP/1.1 200")


def test_a_line_end_after_a_body_begins_no_request(broker):
    with connect(broker) as sock:
        for _ in range(2):
            sock.sendall(token_request(broker) + b"\r\n")
            assert read_answer(sock).startswith(b"HTTP/1.1 200")
    assert len(broker.journal) == 2


def test_only_the_first_origin_is_taken_off_a_target(broker):
    with connect(broker) as sock:
        sock.sendall(b"GET http://h/v2/?to=http://other/x HTTP/1.1\r\nHost: h\r\n\r\n")
        read_answer(sock)
    assert broker.journal[0].request.target == "/v2/?to=http://other/x"


def test_a_chunked_body_that_is_too_long_is_refused(broker):
    head = token_request(broker, body=b"")
    head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n" % BODY_LIMIT_BYTES + b"a" * BODY_LIMIT_BYTES + b"\r\n"
    with connect(broker) as sock:
        sock.sendall(head + 2 * chunk)
        assert read_answer(sock).startswith(b"HTTP/1.1 413")


def test_the_deadline_of_a_request_is_one_for_all_of_its_pieces(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.intake.REQUEST_LIMIT_SECONDS", 0.0)
    with connect(broker) as sock:
        sock.sendall(token_request(broker)[:-3])
        assert read_all(sock).startswith(b"HTTP/1.1 408 ")


def test_a_peer_that_sends_without_end_after_its_request_is_cut_off(broker, monkeypatch):
    monkeypatch.setattr("mockbroker.server.wire.LINGER_BYTES", 1000)
    with connect(broker) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
        with pytest.raises(ConnectionError):
            sock.sendall(b"a" * 100_000_000)


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


def test_a_peer_of_a_tls_server_that_is_gone_before_it_is_served_costs_nothing(tmp_path):
    class Gone(ssl.SSLContext):
        is_gone = True

        def wrap_socket(self, *args, **kwargs):
            if self.is_gone:
                self.is_gone = False
                raise ConnectionResetError
            return super().wrap_socket(*args, **kwargs)

    tls = throw_away_certificate(tmp_path)
    tls.context.__class__ = Gone
    with Broker().running(tls=tls) as broker:
        with connect(broker) as sock:
            assert sock.recv(1) == b""
        answer = requests.get(broker.api_url, verify=broker.ca_file, timeout=5)
        assert answer.status_code == 401


def test_a_handshake_that_openssl_cannot_read_is_told(tmp_path):
    told: SimpleQueue[str] = SimpleQueue()
    with (
        Server(tls=throw_away_certificate(tmp_path), on_refused=told.put) as server,
        socket.create_connection(("127.0.0.1", server.port)) as sock,
    ):
        sock.sendall(b"neither TLS nor HTTP")
        assert told.get(timeout=5).startswith("no TLS connection came about (")


def test_a_mistake_in_serving_one_connection_leaves_the_pool_at_work(caplog):
    def serve(sock: socket.socket) -> None:
        if sock.recv(1) == b"!":
            raise RuntimeError("a mistake")
        sock.sendall(b"served")

    pool = ConnectionPool(serve, limit=1)
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
