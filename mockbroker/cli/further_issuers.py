"""Further issuers on the port of a command that serves, each a broker of its own below a path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import click

from mockbroker.cli.made_broker import make_broker
from mockbroker.cli.request_log import RequestLog, journal_file
from mockbroker.cli.serve import mount_control
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.streams import echo
from mockbroker.fake_broker import Broker
from mockbroker.server.listener import Server

__all__ = ["further_issuers"]


@contextlib.contextmanager
def further_issuers(
    settings: ServeSettings, first: Broker, server: Server
) -> Iterator[tuple[Broker, ...]]:
    """Mount the brokers of ``--issuer`` on the server, print where they are, and yield them.

    They have the clients of the first broker. Raises click.ClickException if one cannot be made.
    """
    with contextlib.ExitStack() as stack:
        brokers = []
        for path, name in settings.issuers:
            _check_path(path, first)
            # Off loopback the server has made a token, which is then that of all.
            own = replace(
                settings,
                profile=name,
                clients=first.registered,
                control_token=server.control_token,
            )
            broker = make_broker(own)
            # Each masks the secrets that it knows, and lines of several files do not mix.
            file = stack.enter_context(journal_file(settings.journal, broker))
            log = RequestLog(broker, file, is_quiet=settings.quiet)
            server.mount(broker, path)
            mount_control(server, broker, own, path)
            broker.journal.subscribe(log.answered, survives_reset=True)
            _announce(path, broker)
            brokers.append(broker)
        yield tuple(brokers)


def _announce(path: str, broker: Broker) -> None:
    """Print where an issuer is."""
    echo(
        f"issuer {path}, profile {broker.profile.name}\n"
        f"  token URL      {broker.token_url}\n"
        f"  API            {broker.api_url}/\n"
        f"  control        {broker.control_url}/\n"
    )


def _check_path(path: str, first: Broker) -> None:
    """Raise click.UsageError if the path is one at which the first broker answers."""
    profile = first.profile
    for taken in (profile.token_path, *profile.token_path_aliases, profile.api_prefix):
        if f"{taken}/".startswith(f"{path}/") or f"{path}/".startswith(f"{taken}/"):
            raise click.UsageError(
                f"--issuer {path}: profile {profile.name} has {taken} at that path; choose another"
            )
