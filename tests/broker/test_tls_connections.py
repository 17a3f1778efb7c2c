"""Connections to a server with TLS, and what goes wrong before their first request."""

from __future__ import annotations

import socket
import ssl
from queue import SimpleQueue

import pytest
import requests

from mockbroker import Broker, Server, throw_away_certificate
from tests.broker.wires import connect, read_all


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


def test_tls_at_a_port_without_it_is_told(broker):
    with connect(broker) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"this is TLS, and the port speaks plain HTTP" in answer


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
