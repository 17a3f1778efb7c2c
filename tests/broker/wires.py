"""Raw sockets to speak to a broker, where an HTTP library would tidy up."""

from __future__ import annotations

import base64
import socket
from urllib.parse import urlsplit

from mockbroker import Broker


def connect(broker: Broker) -> socket.socket:
    parts = urlsplit(broker.token_url)
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


GRANT = b"grant_type=client_credentials"


def token_request(broker: Broker, *extra: str, body: bytes = GRANT) -> bytes:
    proof = base64.b64encode(b"shop:s3cr:et").decode()
    lines = [
        f"POST {urlsplit(broker.token_url).path} HTTP/1.1",
        "Host: broker",
        f"Authorization: Basic {proof}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        *extra,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def read_answer(sock: socket.socket) -> bytes:
    """One answer with a Content-Length, however it is cut into pieces."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        more = sock.recv(65536)
        assert more, f"closed after {body!r}"
        body += more
    return head + b"\r\n\r\n" + body
