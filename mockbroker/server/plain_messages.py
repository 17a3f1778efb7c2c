"""The messages that most clients exchange, read and written without a parser's state.

The parser, h11, checks each field in Python and keeps a state for both sides. The plainest requests
and responses need neither, and h11 would take a third of the time of a token request. What has
another form is left to h11, whether it is valid or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from http.client import responses

from mockbroker.model.messages import Headers, Response
from mockbroker.server.head_flaws import is_host

__all__ = ["PlainHead", "plain_head", "plain_response"]

# RFC 9110, 5.6.2
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Only what h11 accepts as well. Obsolete line folding, bytes beyond ASCII, other line ends, other
# versions and the forms of a target without a slash are not plain.
_HEAD = re.compile(
    r"(?P<method>GET|POST|PUT|PATCH|DELETE) (?P<target>/[!-~]*) HTTP/1\.1\r\n"
    rf"(?P<fields>(?:{_NAME}:[\t -~]*\r\n)+)\r\n"
)
_FIELD = re.compile(r"([^:]+):([^\r]*)\r\n")
_LENGTH = re.compile(r"[0-9]{1,7}")
# These change how a message ends, or what the server must send first.
_NOT_PLAIN = {"transfer-encoding", "expect", "upgrade"}
_SINGLE = {"host", "content-length", "connection"}
_KEEP_ALIVE = "keep-alive"
_LONGEST_REMEMBERED = 4096

_SENT_HEAD = re.compile(
    rf"HTTP/1\.1 [0-9]{{3}} [ -~]*\r\n(?:{_NAME}: [!-~](?:[\t -~]*[!-~])?\r\n)+"
)
_OF_FRAMING = {"transfer-encoding", "connection"}
_WITHOUT_BODY = {204, 304}
_FIRST_FINAL_STATUS = 200


@dataclass(frozen=True, slots=True)
class PlainHead:
    """Head of a plain request; ``length`` is that of its body in bytes.

    The connection stays open after it.
    """

    method: str
    target: str
    headers: Headers
    length: int


def plain_head(head: bytes | bytearray) -> PlainHead | None:
    """Return what a complete head says, or None if it is not plain."""
    return _remembered_head(bytes(head)) if len(head) <= _LONGEST_REMEMBERED else _read_head(head)


def _read_head(head: bytes | bytearray) -> PlainHead | None:
    """Read a head; return None if it is not plain."""
    # Latin-1 keeps each byte, so that the patterns see the bytes beyond ASCII.
    match = _HEAD.fullmatch(head.decode("latin-1"))
    if match is None:
        return None
    fields = tuple((name, value.strip(" \t")) for name, value in _FIELD.findall(match["fields"]))
    named: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        # Repeated fields are not plain if they are about the message itself.
        if key in _NOT_PLAIN or (key in named and key in _SINGLE):
            return None
        named[key] = value
    length = named.get("content-length", "0")
    is_kept = named.get("connection", _KEEP_ALIVE).lower() == _KEEP_ALIVE
    host = named.get("host")
    if host is None or not is_host(host.encode("ascii")):
        return None
    if not is_kept or not _LENGTH.fullmatch(length):
        return None
    return PlainHead(match["method"], match["target"], Headers(fields), int(length))


# A client sends the same head with each token request. Sound, because the result is immutable and
# depends on the bytes alone; at most 64 heads of 4 KiB are kept.
_remembered_head = lru_cache(maxsize=64)(_read_head)


def plain_response(response: Response) -> bytes | None:
    """Return the bytes of a response to a plain request, or None if the response is not plain."""
    head = _plain_sent_head(response.status, response.headers, len(response.body))
    return None if head is None else head + response.body


# Responses within one second have the same head. Sound, because the result depends on the immutable
# arguments alone.
@lru_cache(maxsize=16)
def _plain_sent_head(status: int, headers: Headers, length: int) -> bytes | None:
    """Return the head of a response with a body of that length in bytes; None if not plain."""
    names = [name.lower() for name, _ in headers]
    is_framed = names.count("content-length") == 1 and _OF_FRAMING.isdisjoint(names)
    if not is_framed or status < _FIRST_FINAL_STATUS or status in _WITHOUT_BODY:
        return None
    if headers.get("Content-Length") != str(length):
        return None
    head = _head_of(status, headers)
    # A value with a line break would be a field of its own.
    if head.count("\n") != len(names) + 1 or not _SENT_HEAD.fullmatch(head):
        return None
    return head.encode("ascii") + b"\r\n"


def _head_of(status: int, fields: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} {responses.get(status, '')}\r\n{lines}"
