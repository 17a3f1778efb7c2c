"""The clients of brokers that share a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mockbroker.broker.client_keys import NO_KEYS, KeyNeeds, equipped
from mockbroker.broker.clients import LAST_CLIENT, ClientRegistry, checked_credentials
from mockbroker.model.credentials import Credentials
from mockbroker.redis_state.link import Argument
from mockbroker.redis_state.records import client_of, client_record, octets
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import KEEP_ONE_CLIENT, REGISTER, REMOVE_CLIENT

__all__ = ["SharedClients"]


class SharedClients(ClientRegistry):
    """The registered clients of brokers that share a state.

    The first broker makes the first client. What Redis has counts: `adopt` registers a client that
    is unknown there, but replaces no secret. The methods named ``apply`` are called by the replica
    only, one at a time.
    """

    def __init__(
        self, replica: Replica, credentials: Credentials | None, *, needs: KeyNeeds = NO_KEYS
    ) -> None:
        super().__init__(credentials, needs=needs)
        self._replica = replica
        self._is_random = credentials is None

    def adopt(self) -> None:
        """Take the first client of the state if none was given, or see that it is registered.

        Called once the replica is loaded.
        """
        if self._is_random:
            self.credentials = self._initial = self._registered[0]
            return
        known = [c for c in self._registered if c.client_id == self._initial.client_id]
        if not known:
            self.put(self._initial)
        else:
            # Clients have the files of the key and the certificate that another process made.
            secret = self._initial.client_secret
            self._initial = replace(known[0], client_secret=secret)
        # Its secret may have been replaced since; a process that starts later must not undo that.
        self.credentials = known[0] if known else self._initial

    def put(self, credentials: Credentials) -> Credentials:
        """Register a client in all processes; its arguments and errors are those of the base."""
        keyed = equipped(checked_credentials(credentials), self._needs)
        self._replica.ask(REGISTER, octets(keyed.client_id), client_record(keyed))
        return keyed

    def remove(self, client_id: str) -> None:
        """Remove a client in all processes; its arguments and errors are those of the base."""
        found, count = self._replica.ask(REMOVE_CLIENT, octets(client_id))
        if not found:
            raise KeyError(client_id)
        if count == 1:
            raise ValueError(LAST_CLIENT)

    def reset(self) -> None:
        """Remove every client but this broker's initial one, in all processes."""
        initial = self._initial
        self._replica.ask(KEEP_ONE_CLIENT, octets(initial.client_id), client_record(initial))
        self.credentials = initial

    def apply_registered(self, record: bytes) -> None:
        """Add a client from its record, or replace its secret."""
        self._put(client_of(record))

    def apply_removed(self, client_id: bytes) -> None:
        """Remove the client of an id."""
        self._discard(client_id.decode("utf-8", "surrogatepass"))

    def apply_reset(self, record: bytes) -> None:
        """Remove every client but that of the record."""
        self._registered = (client_of(record),)

    def load(self, snapshot: Snapshot) -> None:
        """Replace every client by those of a whole state."""
        self._registered = tuple(map(client_of, snapshot.clients))

    def initial_arguments(self) -> Sequence[Argument]:
        """Return the ids and records of the clients known here, for a state that has none."""
        return [
            argument
            for client in self._registered
            for argument in (octets(client.client_id), client_record(client))
        ]
