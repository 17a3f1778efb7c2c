"""The replica: what this process knows of the state in Redis, and how it is kept up to date."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockbroker.broker.state import StateError
from mockbroker.redis_state.link import Argument, Link
from mockbroker.redis_state.scripts import LOAD, Script

__all__ = ["Replica", "Snapshot"]

_ATTEMPTS = 3
"""How often a script is tried while another process replaces the state again and again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state, as records; ``revoked`` is the number up to which tokens are revoked.

    ``endings`` has a number and how it ended, as a change has it, for each token that was ended
    before its time.
    """

    refusing: int
    revoked: int
    offset_seconds: float
    clients: Sequence[bytes]
    tokens: Sequence[bytes]
    endings: Iterable[bytes]


class Replica:
    """The version of the state that this process has, and the parts that follow it; thread-safe.

    `follow` names what applies changes and whole states to the parts. Every script runs through
    `ask`, so that each reply brings the replica up to date.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        # No state has this epoch, so that the first script finds out that nothing is loaded.
        self._epoch, self._version = b"", 0
        self._seen_breaks = 0
        self._appliers: Mapping[bytes, Callable[[bytes], None]] = {}
        self._load: Callable[[Snapshot], None] = _ignore
        self._initial: Callable[[], Sequence[Argument]] = tuple
        self._lock = threading.Lock()

    def follow(
        self,
        appliers: Mapping[bytes, Callable[[bytes], None]],
        load: Callable[[Snapshot], None],
        initial: Callable[[], Sequence[Argument]],
    ) -> None:
        """Apply changes by their letters, and whole states by ``load``, one at a time.

        ``initial`` returns the arguments for a state that does not exist yet: ids and records of
        its clients.
        """
        self._appliers, self._load, self._initial = appliers, load, initial

    def ask(self, script: Script, *arguments: Argument) -> list[Any]:
        """Run a script, bring the replica up to date, and return the script's results.

        Raises StateError if Redis cannot be reached.
        """
        for _ in range(_ATTEMPTS):
            epoch = self._epoch
            reply = self._link.run(script, epoch, self._version, *arguments)
            if reply is None:
                self._load_all(epoch)
                continue
            self._catch_up(epoch, reply[0], reply[1])
            results: list[Any] = reply[2:]
            return results
        raise StateError("the shared state is replaced again and again by another program")

    def _catch_up(self, epoch: bytes, version: int, changes: Sequence[bytes] | None) -> None:
        """Apply the changes that are new, or load the state if it cannot be known from them.

        Redis may no longer list them all, or list those of an older state after a restart.
        """
        if changes is None or self._link.breaks != self._seen_breaks:
            self._load_all(epoch)
            return
        if not changes:
            return
        with self._lock:
            # Another thread may have applied some of them, or loaded the state.
            new = version - self._version if epoch == self._epoch else 0
            if new <= 0:
                return
            for change in changes[-new:]:
                self._appliers[change[:1]](change[1:])
            self._version = version

    def _load_all(self, found: bytes) -> None:
        """Load the state, unless another thread has since the epoch ``found`` was read.

        A state that does not exist is made, with the clients that this process knows.
        """
        with self._lock:
            breaks = self._link.breaks
            if self._epoch != found and self._seen_breaks == breaks:
                return
            reply = self._link.run(LOAD, secrets.token_hex(16), *self._initial())
            epoch, version, refusing, revoked, offset, clients, tokens, pairs = reply
            endings = map(b":".join, zip(pairs[::2], pairs[1::2], strict=True))
            self._load(Snapshot(refusing, revoked, float(offset), clients, tokens, endings))
            self._epoch, self._version = epoch, version
            self._seen_breaks = breaks


def _ignore(_snapshot: Snapshot) -> None:
    """Ignore a state, until `Replica.follow` is called."""
