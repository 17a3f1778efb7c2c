"""Connections that a server refuses, and idle ones that it closes."""

from __future__ import annotations

import http.client
import multiprocessing
from urllib.parse import urlsplit

import pytest
import requests

from mockbroker import Broker, Fault, Server


def test_refused_connections(broker):
    with requests.Session() as kept:
        assert kept.get(broker.api_url, timeout=5).status_code == 401
        broker.script(Fault.refuse())
        before = broker.journal.total
        for url in (broker.token_url, broker.api_url):
            for caller in (kept, requests):
                with pytest.raises(requests.ConnectionError, match="refused"):
                    caller.get(url, timeout=5)
        assert broker.journal.total == before
        broker.clear_scripts()
        assert kept.get(broker.api_url, timeout=5).status_code == 401


def test_connections_are_refused_after_the_fault_before(broker):
    broker.script(Fault.status(503), Fault.refuse())
    assert requests.post(broker.token_url, timeout=5).status_code == 503
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.post(broker.token_url, timeout=5)
    broker.reset()
    assert requests.post(broker.token_url, timeout=5).status_code == 400


def test_request_on_a_connection_from_before_the_refusal_is_not_answered(broker):
    broker.script(Fault.status(503), Fault.refuse())
    with requests.Session() as kept:
        assert kept.post(broker.token_url, timeout=5).status_code == 503
        with pytest.raises(requests.ConnectionError):
            kept.post(broker.token_url, timeout=5)


def test_broker_that_is_mounted_refuses_from_the_beginning_and_frees_the_port_at_the_end():
    broker = Broker()
    broker.script(Fault.refuse())
    with broker.running():
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(broker.api_url, timeout=5)
        port = int(broker.api_url.rpartition(":")[2].partition("/")[0])
    with broker.running(port=port), pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(broker.api_url, timeout=5)


def test_broker_that_refuses_and_is_unmounted_lets_others_answer():
    with Server() as server:
        refusing, other = Broker(), Broker()
        server.mount(refusing, "/a")
        server.mount(other, "/b")
        refusing.script(Fault.refuse())
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(other.api_url, timeout=5)
        server.unmount("/a")
        assert requests.get(other.api_url, timeout=5).status_code == 401


def test_idle_connections_are_closed_and_others_are_answered(broker):
    url = urlsplit(broker.api_url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=5)
    for _ in range(20):
        connection.request("GET", url.path)
        assert connection.getresponse().read()
        broker.close_idle_connections()
        assert connection.sock.recv(1) == b""
        connection.close()


def test_a_forked_process_does_not_keep_the_port_open(broker):
    ended = multiprocessing.get_context("fork").Event()
    child = multiprocessing.get_context("fork").Process(target=ended.wait, args=(60,))
    child.start()
    try:
        broker.script(Fault.refuse())
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(broker.api_url, timeout=5)
        broker.clear_scripts()
        assert requests.get(broker.api_url, timeout=5).status_code == 401
    finally:
        ended.set()
        child.join()
