"""How the server reads requests on real sockets, and what it refuses."""

from __future__ import annotations

import json
import socket

import pytest
import requests

from mockbroker.server.application import BODY_LIMIT_BYTES
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


@pytest.mark.parametrize(
    ("head", "status", "text"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nhush \x01\r\n\r\n",
            b"400",
            b"malformed HTTP request",
        ),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00hush\r\n\r\n", b"400", b"malformed HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: hush h\r\n\r\n", b"400", b"Host is not a name or an address"),
        (b"GET / HTTP/1.0\r\nHost: h/hush\r\n\r\n", b"400", b"malformed HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", b"400", b"Host is not a name or an address"),
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
        (b"GET /v2/a HTTP/1.1\r\nHost: \xff\xfe/?\r\n\r\n", 400),
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
