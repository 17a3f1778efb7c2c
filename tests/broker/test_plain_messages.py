"""Plain messages are read and written as h11 would; all others are left to it."""

from __future__ import annotations

import random

import h11
import pytest

from mockbroker.model.messages import Headers, Response
from mockbroker.server.plain_messages import PlainHead, plain_head, plain_response

FIELDS = (
    b"Host: broker",
    b"Authorization: Basic YTpi",
    b"content-length:27",
    b"Connection: Keep-Alive",
    b"X-Empty:",
    b"X-Blanks: \t a \t b \t",
    b"X-Twice: 1",
    b"x-twice: 2",
)
PLAIN = b"POST /token?a=%20b HTTP/1.1\r\n" + b"\r\n".join(FIELDS) + b"\r\n\r\n"
# Parts of which hostile heads are made of a plain one.
PIECES = (b"\r\n", b"\n", b" ", b"\t", b":", b"\x00", b"\xe9", b"1", b",", b"HTTP/1.1", b"Host: b")
NAMES = (b"Transfer-Encoding: chunked", b"Connection: close", b"Content-Length: 9", b"Expect: x")


def read_by_h11(head: bytes) -> PlainHead:
    """Read a head by h11. Raises h11.RemoteProtocolError; fails if the connection would close."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head)
    request = parser.next_event()
    assert isinstance(request, h11.Request)
    assert not parser.they_are_waiting_for_100_continue
    fields = tuple(
        (n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw_items()
    )
    length = int(dict(request.headers).get(b"content-length", b"0"))
    parser.receive_data(b"x" * length)
    events = []
    while not isinstance(event := parser.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        events.append(bytes(event.data))
    assert b"".join(events) == b"x" * length
    assert parser.their_state is h11.DONE
    return PlainHead(request.method.decode(), request.target.decode(), Headers(fields), length)


def test_a_plain_head_is_read_as_h11_reads_it():
    assert plain_head(PLAIN) == read_by_h11(PLAIN)


def test_a_request_without_a_length_has_no_body():
    head = plain_head(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
    assert head == PlainHead("GET", "/", Headers((("Host", "broker"),)), 0)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b"POST", b"HEAD"),
        (b"POST", b"post"),
        (b"POST /token", b"POST http://broker/token"),
        (b"POST /token", b"POST  /token"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Host: broker", b"Host: broker\r\nhost: broker"),
        (b"Host: broker\r\n", b""),
        (b"Host: broker\r\n", b"Host: broker\n"),
        (b"Host:", b"Host :"),
        (b"X-Empty:", b"X-Empty"),
        (b"X-Empty:", b" X-Folded:"),
        (b"Basic", b"B\xe4sic"),
        (b"Basic", b"B\x00sic"),
        (b"Keep-Alive", b"close"),
        (b"Keep-Alive", b"Keep-Alive, Upgrade"),
        (b"Keep-Alive", b"Keep-Alive\r\nConnection: close"),
        (b"length:27", b"length:+7"),
        (b"length:27", b"length:27, 27"),
        (b"length:27", b"length:27\r\nContent-Length: 27"),
        (b"length:27", b"length:12345678"),
        (b"X-Empty:", b"Transfer-Encoding: chunked"),
        (b"X-Empty:", b"Expect: 100-continue"),
        (b"X-Empty:", b"Upgrade: h2c"),
    ],
)
def test_other_heads_are_left_to_h11(part, other):
    assert part in PLAIN
    assert plain_head(PLAIN.replace(part, other, 1)) is None


def test_no_change_of_a_head_is_read_otherwise_than_by_h11():
    chance = random.Random(0)
    plain = 0
    for _ in range(3000):
        head = bytearray(PLAIN)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(head))
            changed = chance.choice((*PIECES, *(b"\r\n" + name + b"\r\n" for name in NAMES), b""))
            head[place : place + chance.randint(0, 2)] = changed
        found = plain_head(bytes(head).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        if found is not None:
            plain += 1
            assert found == read_by_h11(bytes(head).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert plain > 100


def written_by_h11(response: Response) -> bytes:
    """Write a response by h11, in answer to a plain request."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
    parser.next_event()
    parser.next_event()
    reason = plain_response(response).split(b"\r\n")[0].split(b" ", 2)[2]
    fields = [(name.encode(), value.encode()) for name, value in response.headers]
    head = h11.Response(status_code=response.status, headers=fields, reason=reason)
    data = parser.send(head) + parser.send(h11.Data(data=response.body))
    return data + parser.send(h11.EndOfMessage())


@pytest.mark.parametrize("status", [200, 401, 503, 799])
def test_a_plain_response_is_written_as_h11_writes_it(status):
    fields = (("Content-Type", "application/json"), ("x-note", "a \t b"), ("CONTENT-LENGTH", "2"))
    response = Response(status, Headers(fields), b"{}")
    assert plain_response(response) == written_by_h11(response)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (204, [("Content-Length", "2")]),
        (304, [("Content-Length", "2")]),
        (101, [("Content-Length", "2")]),
        (200, []),
        (200, [("Content-Length", "3")]),
        (200, [("Content-Length", "2"), ("content-length", "2")]),
        (200, [("Content-Length", "2"), ("Connection", "close")]),
        (200, [("Content-Length", "2"), ("Transfer-Encoding", "chunked")]),
        (200, [("Content-Length", "2"), ("X-Note", "a\r\nX-Other: b")]),
        (200, [("Content-Length", "2"), ("X-Note", "é")]),
        (200, [("Content-Length", "2"), ("X Note", "a")]),
        (200, [("Content-Length", "2"), ("X-Note", "")]),
    ],
)
def test_other_responses_are_left_to_h11(status, fields):
    assert plain_response(Response(status, Headers(tuple(fields)), b"{}")) is None
