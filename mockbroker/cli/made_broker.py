"""The broker that a command serves, made from its options.

Each setting that cannot be used is a click.ClickException with a message of one sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.streams import warn

if TYPE_CHECKING:
    from mockbroker.fake_broker import Broker
    from mockbroker.model.credentials import Credentials
    from mockbroker.model.profile import Profile

__all__ = ["find_profile", "make_broker"]


def make_broker(settings: ServeSettings) -> Broker:
    """Make the broker with its profile and clients. Raises click.ClickException."""
    from mockbroker.broker.profiles import ConfigError  # noqa: PLC0415 - only when needed
    from mockbroker.broker.state import StateError  # noqa: PLC0415 - only when needed
    from mockbroker.fake_broker import Broker  # noqa: PLC0415 - only when needed

    try:
        broker = Broker(
            profile=find_profile(settings.profile, settings.config),
            credentials=settings.clients[0] if settings.clients else None,
            expires_in=settings.expires_in,
            strict=not settings.lenient,
            state=settings.state,
        )
        _register(broker, settings.clients)
        if settings.client_key is not None:
            _register_key(broker, settings.client_key)
    except (ConfigError, StateError) as error:
        raise click.ClickException(str(error)) from error
    return broker


def _register(broker: Broker, clients: tuple[Credentials, ...]) -> None:
    """Register the clients that the broker does not know, and warn of those with other secrets.

    A shared state may have them already, and a secret that was replaced there must stay.
    """
    known = {client.client_id: client for client in broker.registered}
    for client in clients:
        if client.client_id not in known:
            broker.register(client.client_id, client.client_secret)
        elif known[client.client_id] != client:
            warn(
                f"client {client.client_id} has another secret in the shared state, which counts; "
                "to begin with an empty state, use another ?namespace="
            )


def _register_key(broker: Broker, path: Path) -> None:
    """Replace the keys of the first client by those in a file. Raises click.ClickException."""
    from mockbroker.broker.client_keys import key_algorithm_of  # noqa: PLC0415 - only when needed

    if not key_algorithm_of(broker.profile):
        raise click.ClickException(
            f"--client-key: clients of profile {broker.profile.name} have no key; choose a profile "
            "with private_key_jwt"
        )
    client = broker.credentials
    try:
        keys = path.read_text(encoding="utf-8")
        broker.credentials = broker.register(
            client.client_id, client.client_secret, public_keys=keys
        )
    except OSError as error:
        raise click.ClickException(f"--client-key {path}: {error.strerror}") from error
    except ValueError as error:
        # A file that is not UTF-8 is not PEM either, and its error would quote it.
        what = "not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise click.ClickException(f"--client-key {path}: {what}") from error


def find_profile(name: str, config: Path | None) -> Profile:
    """Return the profile of that name. Raises click.ClickException if it is unknown.

    ``config`` is a TOML file with more profiles, or None.
    """
    from mockbroker.broker.profiles import ConfigError, profile_named  # noqa: PLC0415 - only when needed

    try:
        return profile_named(name, config=config)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
