"""The signing keys of brokers that share a state."""

from __future__ import annotations

from mockbroker.broker.signing_keys import KeyRing, SigningKey, first_key, new_key
from mockbroker.redis_state.replica import Replica
from mockbroker.redis_state.scripts import HAVE_KEY, PUT_KEYS

__all__ = ["SharedKeyRing"]


class SharedKeyRing(KeyRing):
    """The keys in Redis. The first process that signs a token makes the first one."""

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica

    def published(self) -> tuple[SigningKey, ...]:
        """Return the keys that every process publishes; the last one signs."""
        [keys] = self._replica.ask(HAVE_KEY, b"")
        if not keys:
            # Only now: a process that finds a key need not make one.
            [keys] = self._replica.ask(HAVE_KEY, first_key().pem)
        return tuple(map(SigningKey, keys))

    def rotate(self, *, withdraw_old: bool) -> None:
        """Sign by a new key in all processes; its argument is that of the base."""
        # So that there is an old key, as in the base.
        self.published()
        self._replica.ask(PUT_KEYS, "withdraw" if withdraw_old else "none", new_key().pem)

    def reset(self) -> None:
        """Return to the oldest key that is published."""
        self._replica.ask(PUT_KEYS, "reset", b"")
