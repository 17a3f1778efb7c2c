"""Modules that see the machine's time while a client's time is frozen."""

from __future__ import annotations

from freezegun.config import DEFAULT_IGNORE_LIST

__all__ = ["REAL_TIME_MODULES"]

REAL_TIME_MODULES = (
    # freezegun's own list has queue, threading and multiprocessing.
    *DEFAULT_IGNORE_LIST,
    "anyio",
    "asyncio",
    "concurrent",
    "eventlet",
    "gevent",
    "mockbroker_contract.drivers.host",
    "mockbroker_contract.isolation",
    "selectors",
    "socketserver",
    "subprocess",
    "trio",
    "uvloop",
)
"""Beginnings of the names of modules that measure their own timeouts.

Frozen time would make the timeouts endless. Event loops and pools wait for sockets and processes,
which are real.
"""
