"""Further issuers on the port of a command that serves, each a broker of its own below a path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import click

from mockbroker.broker.clients import random_credentials
from mockbroker.cli.made_broker import find_profile, make_broker
from mockbroker.cli.request_log import RequestLog, journal_file
from mockbroker.cli.serve import mount_control
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.streams import echo
from mockbroker.fake_broker import Broker
from mockbroker.model.profile import Profile
from mockbroker.server.listener import Server

__all__ = ["make_issuers", "mounted_issuers", "with_clients"]


def with_clients(settings: ServeSettings) -> ServeSettings:
    """Return the settings with a client if there are several issuers, so that they share it."""
    return (
        settings
        if settings.clients or not settings.issuers
        else replace(settings, clients=(random_credentials(),))
    )


def make_issuers(settings: ServeSettings) -> Mapping[str, Broker]:
    """Make the brokers of ``--issuer``, by their paths. Raises click.ClickException.

    Called before a port is opened: a wrong option must not leave a server behind.
    """
    profile = find_profile(settings.profile, settings.config)
    for path, _ in settings.issuers:
        _check_path(path, profile)
    made = {path: make_broker(replace(settings, profile=name)) for path, name in settings.issuers}
    for path, broker in made.items():
        if broker.asks_for_certificates and not (settings.tls or profile.certificate_method):
            raise click.UsageError(
                f"--issuer {path}: clients of profile {broker.profile.name} have a certificate, "
                "which needs TLS; add --tls"
            )
    return made


@contextlib.contextmanager
def mounted_issuers(
    settings: ServeSettings, issuers: Mapping[str, Broker], server: Server
) -> Iterator[None]:
    """Mount the brokers on the server, log their requests, and print where they are."""
    # Off loopback the server has made a token, which is then that of all.
    own = replace(settings, control_token=server.control_token)
    with contextlib.ExitStack() as stack:
        for path, broker in issuers.items():
            # Each masks the secrets that it knows, and lines of several files do not mix.
            file = stack.enter_context(journal_file(settings.journal, broker))
            log = RequestLog(broker, file, is_quiet=settings.quiet, is_verbose=settings.verbose_log)
            server.mount(broker, path)
            mount_control(server, broker, own, path)
            broker.journal.subscribe(log.answered, survives_reset=True, is_prompt=True)
            _announce(path, broker)
        yield


def _announce(path: str, broker: Broker) -> None:
    """Print where an issuer is."""
    echo(
        f"issuer {path}, profile {broker.profile.name}\n"
        f"  token URL      {broker.token_url}\n"
        f"  API            {broker.api_url}/\n"
        f"  control        {broker.control_url}/\n"
    )


def _check_path(path: str, profile: Profile) -> None:
    """Raise click.UsageError if the path is one at which a broker of the profile answers."""
    for taken in (profile.token_path, *profile.token_path_aliases, profile.api_prefix):
        if f"{taken}/".startswith(f"{path}/") or f"{path}/".startswith(f"{taken}/"):
            raise click.UsageError(
                f"--issuer {path}: profile {profile.name} has {taken} at that path; choose another"
            )
