"""TCP ports: one that listens, and one that is held so that it refuses connections."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys

__all__ = ["bind_at", "held_after", "is_loopback", "listen_at", "listen_on"]

BACKLOG = 128
"""Connections that the kernel completes before they are accepted: bursts of clients need it."""


def listen_at(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free port. Raises OSError.

    Several processes of one user may listen on a port that all of them share.
    """
    listener = bind_at(host, port, is_shared=is_shared)
    try:
        listen_on(listener)
    except OSError:
        listener.close()
        raise
    return listener


def bind_at(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket that has the address and does not listen; see `listen_at`."""
    # The first address only: port 0 would get another port for each address, but the broker has one
    # URL.
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return _bound(family, kind, proto, address, is_shared=is_shared)


def listen_on(bound: socket.socket) -> None:
    """Accept connections on a bound socket. Raises OSError."""
    bound.listen(BACKLOG)


def held_after(listener: socket.socket) -> socket.socket:
    """Close a socket that listens; return one that is bound to its address and does not listen.

    The system refuses connections to the port, and gives it to no other program. Raises OSError if
    another program was faster.
    """
    family, kind, proto = listener.family, listener.type, listener.proto
    address, is_shared = listener.getsockname(), _is_shared(listener)
    # A process that was forked meanwhile has the socket as well, which then listens although it is
    # closed here. Systems other than Linux raise ENOTCONN.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    return _bound(family, kind, proto, address, is_shared=is_shared)


def is_loopback(bound: socket.socket) -> bool:
    """Return whether only programs on this machine can reach the address of a socket."""
    # The bound address decides, not the given name: /etc/hosts may map a name to anything. A
    # scope id such as %eth0 is not part of the address.
    address = ipaddress.ip_address(bound.getsockname()[0].partition("%")[0])
    # ::ffff:127.0.0.1 is a loopback address, but older versions of `ipaddress` deny it.
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _is_shared(bound: socket.socket) -> bool:
    """Return whether other processes may listen on the port as well."""
    option = getattr(socket, "SO_REUSEPORT", None)  # Windows has none
    return option is not None and bool(bound.getsockopt(socket.SOL_SOCKET, option))


def _bound(
    family: int, kind: int, proto: int, address: tuple[object, ...], *, is_shared: bool
) -> socket.socket:
    """Return a socket that is bound to the address. Raises OSError."""
    bound = socket.socket(family, kind, proto)
    try:
        # Elsewhere the option lets a restarted server use its port again while old connections are
        # in TIME_WAIT.
        if sys.platform != "win32":  # there it would let two servers share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        # A peer may give its connection up between `select` and `accept`, which would then block.
        bound.setblocking(False)  # noqa: FBT003 - its one argument
    except OSError:
        bound.close()
        raise
    return bound
