"""Many, slow and idle connections: each is served, or closed in time."""

from __future__ import annotations

import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import freezegun
import requests

from mockbroker import Broker
from tests.broker.wires import connect, read_answer, token_request


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
