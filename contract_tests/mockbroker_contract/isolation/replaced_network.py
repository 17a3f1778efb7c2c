"""Replacements of the network in this process: HTTP that is mocked, sockets that are blocked.

Tests replace functions of HTTP libraries, so that no request leaves the process. A request that
such a test run swallows says nothing about the client.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["loopback_obstacle", "replaced_functions"]

# What the mocking libraries replace, outermost first: responses, requests-mock, pytest-httpx,
# respx, aioresponses, pook, vcrpy, httpretty, pytest-socket.
_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "requests": ("post", "request", "Session"),
    "requests.sessions": ("Session.request", "Session.send", "Session.get_adapter"),
    "requests.adapters": ("HTTPAdapter.send",),
    "httpx": (
        "post",
        "Client",
        "AsyncClient",
        "Client.send",
        "AsyncClient.send",
        "HTTPTransport.handle_request",
        "AsyncHTTPTransport.handle_async_request",
    ),
    "httpcore": (
        "ConnectionPool.handle_request",
        "HTTPConnection.handle_request",
        "AsyncConnectionPool.handle_async_request",
        "AsyncHTTPConnection.handle_async_request",
    ),
    "aiohttp": ("ClientSession", "ClientSession._request"),
    "urllib3.connectionpool": (
        "HTTPConnectionPool.urlopen",
        "HTTPConnectionPool.ConnectionCls",
        "HTTPSConnectionPool.ConnectionCls",
    ),
    "urllib.request": ("urlopen",),
    "http.client": ("HTTPConnection", "HTTPConnection.request", "HTTPConnection.connect"),
    "socket": ("socket", "socket.connect", "create_connection", "getaddrinfo"),
}
# They replace sockets by their own, which still reach the network.
_GREEN_THREADS = frozenset({"gevent", "eventlet"})
_MOCKS = "unittest.mock"


def replaced_functions() -> list[tuple[str, str]]:
    """Return the functions and classes of the network that are replaced, and by which packages.

    Wrappers that show the original's code, such as those for tracing, do not count.
    """
    return list(_replaced())


def _replaced() -> Iterator[tuple[str, str]]:
    for module_name, names in _FUNCTIONS.items():
        module = sys.modules.get(module_name)
        for name in names if module is not None else ():
            # The client may have put anything there, which then replaces the function as well.
            with contextlib.suppress(Exception):
                found: Any = module
                for part in name.split("."):
                    found = getattr(found, part)
                maker = _package_of(found)
                if maker not in (module_name.partition(".")[0], "_socket", *_GREEN_THREADS):
                    yield f"{module_name}.{name}", maker


def _package_of(found: Any) -> str:
    """Return the package whose code that is; "unittest.mock" for a mock."""
    code = getattr(found, "__code__", None)
    file = getattr(code, "co_filename", None)
    if isinstance(file, str):
        for name, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) == file:
                return name.partition(".")[0]
    # Classes have no code, and neither have functions in C.
    if isinstance(found, type) or type(found).__module__ == "builtins":
        owner = getattr(found, "__objclass__", found).__module__
        # Only the functions that mock makes have no module.
        return _MOCKS if owner is None else str(owner).partition(".")[0]
    module_name = type(found).__module__
    return module_name if module_name == _MOCKS else module_name.partition(".")[0]


def loopback_obstacle() -> str:
    """Return why this process cannot connect to itself, in words; empty if it can.

    It tries only if sockets are replaced, so that it costs nothing otherwise.
    """
    # A guard is another class, or a method that this class inherits otherwise.
    if socket.socket.__module__ == "socket" and "connect" not in vars(socket.socket):
        return ""
    makers = [maker for name, maker in replaced_functions() if name.startswith("socket.")]
    if not makers:
        return ""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()),
        ):
            accepted, _ = server.accept()
            accepted.close()
    except Exception:  # noqa: BLE001 - each library has an exception of its own
        return f"{makers[0]} has replaced the sockets of this process and refuses a connection"
    return ""
