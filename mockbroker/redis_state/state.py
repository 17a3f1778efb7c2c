"""The state of a broker in Redis."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from mockbroker.broker.client_keys import NO_KEYS, KeyNeeds
from mockbroker.broker.state import Limits, StateError
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint
from mockbroker.redis_state.address import StateAddress
from mockbroker.redis_state.clients import SharedClients
from mockbroker.redis_state.clock import SharedClock
from mockbroker.redis_state.exchanges import SharedExchanges
from mockbroker.redis_state.fault_script import Refusals, SharedFaultScript
from mockbroker.redis_state.link import Link
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import READ
from mockbroker.redis_state.signing_keys import SharedKeyRing
from mockbroker.redis_state.tokens import SharedTokens
from mockbroker.redis_state.used_assertions import SharedAssertions

__all__ = ["RedisState"]

WATCH_SECONDS = 0.1
"""How often a process that serves looks whether it is to refuse connections. No request comes that
would bring the end of it."""


@dataclass(frozen=True, slots=True)
class RedisState:
    """A `State` in Redis; every process with the same URL shares it."""

    replica: Replica
    refusals: Refusals
    tokens: SharedTokens
    clients: SharedClients
    clock: SharedClock
    keys: SharedKeyRing
    assertions: SharedAssertions
    exchanges: SharedExchanges
    token_script: SharedFaultScript
    api_script: SharedFaultScript
    elsewhere_script: SharedFaultScript

    @classmethod
    def at(
        cls,
        url: str,
        credentials: Credentials | None,
        limits: Limits,
        *,
        needs: KeyNeeds = NO_KEYS,
    ) -> RedisState:
        """Return the state at a URL; make it if it does not exist.

        Raises ConfigError if the URL is malformed, StateError if Redis cannot be reached, and
        ValueError if a limit is less than 1.
        """
        replica, refusals = Replica(Link(StateAddress.of(url))), Refusals()
        state = cls(
            replica,
            refusals,
            SharedTokens(replica, limits.tokens),
            SharedClients(replica, credentials, needs=needs),
            SharedClock(replica),
            SharedKeyRing(replica),
            SharedAssertions(replica),
            SharedExchanges(replica, limits.exchanges, limits.exchange_bytes),
            *(SharedFaultScript(replica, endpoint, refusals) for endpoint in Endpoint),
        )
        state.begin()
        return state

    @property
    def is_shared(self) -> bool:
        """True, even if this process is the only one at the moment."""
        return True

    def begin(self) -> None:
        """Load the state, and follow its changes from now on. Raises StateError."""
        appliers = {
            b"T": self.tokens.apply_issued,
            b"D": self.tokens.apply_dropped,
            b"E": self.tokens.apply_ended,
            b"R": self.tokens.apply_revoked,
            b"X": self.tokens.apply_cleared,
            b"C": self.clients.apply_registered,
            b"M": self.clients.apply_removed,
            b"I": self.clients.apply_reset,
            b"O": self.clock.apply_offset,
        }
        self.replica.follow(appliers, self._load, self.clients.initial_arguments)
        self.refresh()
        self.clients.adopt()

    def _load(self, snapshot: Snapshot) -> None:
        """Replace what this process knows by a whole state; the replica calls it."""
        self.refusals.bits = snapshot.refusing
        self.clients.load(snapshot)
        self.clock.load(snapshot)
        self.tokens.load(snapshot)

    def refresh(self) -> None:
        """Read what other processes have changed. Raises StateError if that is impossible."""
        [self.refusals.bits] = self.replica.ask(READ)

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` soon after another process begins or ends to refuse connections.

        The calls are in a thread of their own. Returns a function that ends them.
        """
        ended = threading.Event()

        def look() -> None:
            known = self.refusals.bits
            while not ended.wait(WATCH_SECONDS):
                # Each request reports an unavailable state, so this thread need not.
                with contextlib.suppress(StateError):
                    self.refresh()
                if self.refusals.bits != known:
                    known = self.refusals.bits
                    on_change()

        # A daemon: a process that forgets to end the watch can still end.
        threading.Thread(target=look, name="mockbroker-watch", daemon=True).start()
        return ended.set
