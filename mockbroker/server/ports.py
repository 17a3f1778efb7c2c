"""TCP ports: one that listens, and one that is held so that it refuses connections."""

from __future__ import annotations

import contextlib
import socket
import sys

__all__ = ["held_after", "listen_at", "listen_on"]

BACKLOG = 128
"""Connections that the kernel completes before they are accepted: bursts of clients need it."""


def listen_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free port. Raises OSError."""
    # The first address only: port 0 would get another port for each address, but the broker has one
    # URL.
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = _bound(family, kind, proto, address)
    try:
        listen_on(listener)
    except OSError:
        listener.close()
        raise
    return listener


def listen_on(bound: socket.socket) -> None:
    """Accept connections on a bound socket. Raises OSError."""
    bound.listen(BACKLOG)


def held_after(listener: socket.socket) -> socket.socket:
    """Close a socket that listens; return one that is bound to its address and does not listen.

    The system refuses connections to the port, and gives it to no other program. Raises OSError if
    another program was faster.
    """
    family, kind, proto = listener.family, listener.type, listener.proto
    address = listener.getsockname()
    # A process that was forked meanwhile has the socket as well, which then listens although it is
    # closed here. Systems other than Linux raise ENOTCONN.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    return _bound(family, kind, proto, address)


def _bound(family: int, kind: int, proto: int, address: tuple[object, ...]) -> socket.socket:
    """Return a socket that is bound to the address. Raises OSError."""
    bound = socket.socket(family, kind, proto)
    try:
        # Elsewhere the option lets a restarted server use its port again while old connections are
        # in TIME_WAIT.
        if sys.platform != "win32":  # there it would let two servers share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # A peer may give its connection up between `select` and `accept`, which would then block.
        bound.setblocking(False)  # noqa: FBT003 - its one argument
    except OSError:
        bound.close()
        raise
    return bound
