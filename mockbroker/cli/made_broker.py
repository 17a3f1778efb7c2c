"""The broker that a command serves, made from its options.

Each setting that cannot be used is a click.ClickException with a message of one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        _register_files(broker, settings)
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


def _register_files(broker: Broker, settings: ServeSettings) -> None:
    """Register what the first client has in files of its own. Raises click.ClickException."""
    from mockbroker.broker.client_keys import key_algorithm_of  # noqa: PLC0415 - only when needed

    found: dict[str, str] = {}
    if settings.client_key is not None:
        if not key_algorithm_of(broker.profile):
            raise click.ClickException(
                f"--client-key: clients of profile {broker.profile.name} have no key; choose a "
                "profile with private_key_jwt"
            )
        found["public_keys"] = _text_of("--client-key", settings.client_key)
        _register_again(broker, f"--client-key {settings.client_key}", found)
    if settings.client_cert is not None:
        if not broker.profile.certificate_method:
            raise click.ClickException(
                f"--client-cert: clients of profile {broker.profile.name} have no certificate; "
                "choose a profile with tls_client_auth or self_signed_tls_client_auth"
            )
        found["certificate"] = _text_of("--client-cert", settings.client_cert)
        _register_again(broker, f"--client-cert {settings.client_cert}", found)


def _text_of(option: str, path: Path) -> str:
    """Return the text of a file. Raises click.ClickException."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{option} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        # Its own message would quote the file.
        raise click.ClickException(f"{option} {path}: not text") from error


def _register_again(broker: Broker, where: str, found: Mapping[str, str]) -> None:
    """Register the first client with these members. Raises click.ClickException."""
    client = broker.credentials
    try:
        broker.credentials = broker.register(client.client_id, client.client_secret, **found)
    except ValueError as error:
        raise click.ClickException(f"{where}: {error}") from error


def find_profile(name: str, config: Path | None) -> Profile:
    """Return the profile of that name. Raises click.ClickException if it is unknown.

    ``config`` is a TOML file with more profiles, or None.
    """
    from mockbroker.broker.profiles import ConfigError, profile_named  # noqa: PLC0415 - only when needed

    try:
        return profile_named(name, config=config)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
