"""Connections to Redis, and the scripts that run there."""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from typing import Any, Union

from redis.exceptions import NoScriptError, RedisError

from mockbroker.broker.clock import real_seconds
from mockbroker.broker.state import StateError
from mockbroker.redis_state.address import StateAddress
from mockbroker.redis_state.scripts import Script

__all__ = ["Argument", "Link"]

Argument = Union[str, bytes, int, float]
"""What redis-py encodes as an argument of a script."""

FRESH_SECONDS = 0.05
"""For how long a connection that worked is used without a look whether it still does. Redis does
not restart as fast as that."""
_log = logging.getLogger(__name__)


class Link:
    """The connections of one process to the state at an address; thread-safe.

    Each call uses a connection that no other call uses meanwhile. A process that was forked opens
    its own connections.
    """

    def __init__(self, address: StateAddress) -> None:
        self._address = address
        # Braces make one slot of all keys of the namespace, where a Redis cluster wants that.
        self._prefix = f"mockbroker:{{{address.namespace}}}:"
        # Taken and given back at one end, so that few connections serve few threads.
        self._idle: deque[tuple[Any, float]] = deque()
        weakref.finalize(self, _close, self._idle)
        self._process_id = os.getpid()
        self._is_down = False
        self.breaks = 0
        """How many connections broke. Redis may have restarted then, and have an older state."""

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script in Redis and return its reply. Raises StateError if that is impossible."""
        connection = self._connection()
        try:
            reply = self._reply(connection, script, arguments)
        except RedisError as error:
            connection.disconnect()
            self._is_down = True
            self.breaks += 1
            reason = str(error).rstrip(".") or type(error).__name__
            raise StateError(
                f"the state at {self._address.name} is unavailable: {reason}"
            ) from error
        self._idle.append((connection, real_seconds()))
        if self._is_down:
            self._is_down = False
            _log.warning("the state at %s is available again", self._address.name)
        return reply

    def _reply(self, connection: Any, script: Script, arguments: tuple[Argument, ...]) -> Any:
        """Run a script on a connection, and return its reply."""
        keyed = (1, self._prefix, *arguments)
        try:
            connection.send_command("EVALSHA", script.digest, *keyed)
            return connection.read_response()
        except NoScriptError:
            # Redis has restarted, or has never seen the script. EVAL also makes it known.
            connection.send_command("EVAL", script.text, *keyed)
            return connection.read_response()

    def _connection(self) -> Any:
        """Return a connection that is not in use: an idle one that still works, or a new one."""
        if self._process_id != os.getpid():
            # The connections belong to the parent process as well, and two processes would get
            # each other's replies.
            self._idle.clear()
            self._process_id = os.getpid()
        try:
            connection, used_at = self._idle.pop()
        except IndexError:
            return self._address.new_connection()
        if real_seconds() - used_at > FRESH_SECONDS and _is_stale(connection):
            connection.disconnect()
            self.breaks += 1
        return connection


def _close(idle: deque[tuple[Any, float]]) -> None:
    """Close idle connections, once their link is not used any more."""
    while idle:
        idle.pop()[0].disconnect()


def _is_stale(connection: Any) -> bool:
    """Return whether Redis has closed an idle connection, as it does when it restarts.

    Found out before a command is sent: afterwards it is unknown whether Redis has run it.
    """
    try:
        return bool(connection.can_read(timeout=0))
    except (RedisError, OSError):
        return True
