"""The state of a broker: what outlives a request, and may be shared by several processes.

A broker keeps its tokens, clients, clock, faults and journal in one state. `LocalState` keeps them
in the memory of this process. `mockbroker.redis_state` keeps them in Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mockbroker.broker.client_keys import NO_KEYS, KeyNeeds
from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.clock import Clock
from mockbroker.broker.faults import FaultScript
from mockbroker.broker.journal import ExchangeStore, RecentExchanges
from mockbroker.broker.signing_keys import KeyRing
from mockbroker.broker.tokens import TokenStore
from mockbroker.broker.used_assertions import UsedAssertions
from mockbroker.model.credentials import Credentials

__all__ = ["Limits", "LocalState", "State", "StateError"]


class StateError(RuntimeError):
    """The shared state of a broker cannot be read or changed; the message says why.

    It may last: while the state is unavailable, a broker answers each request with 503.
    """


# Tracebacks and documentation show the name under which users import it.
StateError.__module__ = "mockbroker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a state remembers: the tokens, and the exchanges by number and by memory."""

    tokens: int
    exchanges: int
    exchange_bytes: int


class State(Protocol):
    """The state of a broker, by its parts; each part is thread-safe.

    The parts of a shared state raise StateError while it cannot be reached. ``elsewhere_script``
    is always empty. Requests to unknown paths take from it as the endpoints take their faults: a
    shared state is brought up to date when a request takes its fault.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes may share it; its parts may then wait for it."""
        ...

    @property
    def tokens(self) -> TokenStore:
        """The tokens that were issued."""
        ...

    @property
    def clients(self) -> ClientRegistry:
        """The clients that may request tokens."""
        ...

    @property
    def assertions(self) -> UsedAssertions:
        """The signed assertions that clients have used."""
        ...

    @property
    def clock(self) -> Clock:
        """The broker's own clock."""
        ...

    @property
    def token_script(self) -> FaultScript:
        """The faults of the next answers of the token endpoint."""
        ...

    @property
    def api_script(self) -> FaultScript:
        """The faults of the next answers of the API."""
        ...

    @property
    def elsewhere_script(self) -> FaultScript:
        """The faults of other answers: none."""
        ...

    @property
    def keys(self) -> KeyRing:
        """The keys by which tokens are signed."""
        ...

    @property
    def exchanges(self) -> ExchangeStore:
        """The exchanges that the journal holds."""
        ...

    def refresh(self) -> None:
        """Read what other processes have changed. Raises StateError if that is impossible."""
        ...

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` soon after another process may have changed the state.

        The calls are in a thread of their own. Returns a function that ends them.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalState:
    """A state in the memory of this process; it ends with the broker."""

    tokens: TokenStore
    clients: ClientRegistry
    exchanges: ExchangeStore
    assertions: UsedAssertions = field(default_factory=UsedAssertions)
    clock: Clock = field(default_factory=Clock)
    keys: KeyRing = field(default_factory=KeyRing)
    token_script: FaultScript = field(default_factory=FaultScript)
    api_script: FaultScript = field(default_factory=FaultScript)
    elsewhere_script: FaultScript = field(default_factory=FaultScript)

    @classmethod
    def of(
        cls, credentials: Credentials | None, limits: Limits, *, needs: KeyNeeds = NO_KEYS
    ) -> LocalState:
        """Return an empty state. Raises ValueError if a limit is less than 1."""
        return cls(
            TokenStore(limits.tokens),
            ClientRegistry(credentials, needs=needs),
            RecentExchanges(limits.exchanges, limits.exchange_bytes),
        )

    @property
    def is_shared(self) -> bool:
        """False: no other process knows it."""
        return False

    def refresh(self) -> None:
        """Do nothing: no other process changes it."""

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - as State has it
        """Return a function that does nothing: no other process changes the state."""
        return lambda: None
