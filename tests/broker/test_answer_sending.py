"""How much of an answer the server sends, in which form and when, on real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time

import httpx
import pytest
import requests

from mockbroker import Broker, Fault, throw_away_certificate
from mockbroker.broker.faults import Manner, Sent
from mockbroker.server.wire import CHUNKS
from tests.broker.wires import connect, read_all, read_answer, token_request


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
