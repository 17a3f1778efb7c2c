"""What a session has set up on its broker, kept while single tests change the broker."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mockbroker.broker.clock import Clock
from mockbroker.broker.routes import Route
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials

__all__ = ["SetUp"]

_SETTINGS = (
    "profile",  # first, because it sets some of the others
    "expires_in",
    "token_policy",
    "strict",
    "scope",
    "token_answer",
    "token_values",
    "agreed_paths",
    "credentials",
)
"""The attributes of a broker that a test may set."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """The settings, clients and routes of a broker at one moment.

    Fixtures of the session make them once for an app. A test with the function fixture begins and
    leaves with them, whatever it changes.
    """

    settings: tuple[tuple[str, Any], ...]
    registered: tuple[Credentials, ...]
    routes: tuple[Route, ...]

    @classmethod
    def of(cls, broker: Broker, without: Collection[Credentials] = ()) -> SetUp:
        """Return that of a broker, except for the clients in ``without``."""
        return cls(
            tuple((name, getattr(broker, name)) for name in _SETTINGS),
            tuple(each for each in broker.registered if each not in without),
            broker.api.snapshot(),
        )

    def apply_to(self, broker: Broker) -> None:
        """Give a broker these settings, clients and routes; other clients of it stay."""
        broker.clear_scripts()
        if isinstance(broker.clock, Clock):
            broker.clock.reset()
        for each in self.registered:
            if each not in broker.registered:
                # What the broker has made comes again with the credentials.
                broker.register(
                    each.client_id,
                    each.client_secret,
                    public_keys="" if each.private_key else each.public_keys,
                    key_id=each.key_id,
                    certificate="" if each.certificate_file else each.certificate,
                )
        for name, value in self.settings:
            setattr(broker, name, value)
        broker.api.restore(self.routes)
