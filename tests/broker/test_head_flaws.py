"""What the server says about a request that its parser rejects."""

from __future__ import annotations

import pytest

from mockbroker.server.intake import Refused, read_message


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"GET  / HTTP/1.1\r\nHost: h", "separated by one blank"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX : hush", "line 3 has a blank between the name"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nhush", "line 3 has no colon: is the blank line"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX Y: hush", "line 3 has a character"),
        (b"GET / HTTP/1.1\r\n hush\r\nHost: h", "line 2 begins with a blank"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \0hush", "line 3 has a NUL"),
        (b"GET / HTTP/1.1\r\nX: hush", "the Host header is missing"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: hush", "several Host headers"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: hush", "is not a number of bytes"),
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2",
            "several Content-Length headers",
        ),
        (b"GET / HTTP/1.0\r\nX: 1\r\nContent-Length: " + b"9" * 30, "malformed HTTP request"),
    ],
)
def test_the_flaw_is_named_and_nothing_is_quoted(head, words):
    with pytest.raises(Refused) as refused:
        read_message(head + b"\r\n\r\n")
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_message_without_bytes_is_refused():
    with pytest.raises(Refused, match="the message is empty"):
        read_message(b"")
