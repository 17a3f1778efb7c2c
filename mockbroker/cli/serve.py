"""Serving a broker in the foreground, as `mockbroker serve` and `audit` do.

Flask is imported only once a broker is served, because its import is slow.

What a request is judged by and answered with is not decided here: the broker does that.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mockbroker.cli.made_broker import make_broker
from mockbroker.cli.request_log import RequestLog, journal_file
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.stop_signals import StopSignals
from mockbroker.cli.streams import echo, warn

if TYPE_CHECKING:
    from mockbroker.fake_broker import Broker
    from mockbroker.server.certificates import ServerCertificate
    from mockbroker.server.control.access import ControlAccess
    from mockbroker.server.listener import Server

__all__ = [
    "access_of",
    "announce",
    "announce_end",
    "listening",
    "mount_control",
    "prepared",
    "serve_and_log",
    "warn_of_other_hosts",
]


@contextlib.contextmanager
def listening(settings: ServeSettings) -> Iterator[tuple[Broker, Server]]:
    """Make a broker by these settings and a server that listens for it; yield both.

    Raises click.ClickException, with a message of one sentence, if a setting is invalid.
    """
    # The journal file is opened before the port: a wrong path must not leave a server behind, even
    # for a moment.
    with prepared(settings) as (broker, log, certificate):
        server = _listen(settings.host, settings.port, certificate, log.refused)
        if not server.is_on_loopback:
            warn_of_other_hosts(settings.host)
        server.mount(broker)
        mount_control(server, broker, settings)
        # The control API may reset the broker, and the log continues.
        broker.journal.subscribe(log.answered, survives_reset=True, is_prompt=True)
        yield broker, server


def mount_control(
    server: Server, broker: Broker, settings: ServeSettings, prefix: str = ""
) -> None:
    """Serve the control API of the broker that is mounted at the prefix."""
    from mockbroker.broker.profiles import profile_named  # noqa: PLC0415 - only when needed

    find = functools.partial(profile_named, config=settings.config)
    server.mount_control(broker, prefix, access=access_of(settings), find_profile=find)


def access_of(settings: ServeSettings) -> ControlAccess:
    """Return which requests the control API accepts by these settings."""
    from mockbroker.server.certificates import WILDCARDS  # noqa: PLC0415 - only when needed
    from mockbroker.server.control.access import ControlAccess  # noqa: PLC0415 - only when needed

    # The name that the user has given to this machine.
    own = () if settings.host in WILDCARDS else (settings.host,)
    return ControlAccess(
        allowed_hosts=(*settings.allowed_hosts, *own), token=settings.control_token
    )


@contextlib.contextmanager
def prepared(
    settings: ServeSettings,
) -> Iterator[tuple[Broker, RequestLog, ServerCertificate | None]]:
    """Make what serving needs beside a port: a broker, a log of its requests, a certificate.

    Raises click.ClickException, with a message of one sentence, if a setting is invalid.
    """
    broker = make_broker(settings)
    # A certificate of a client is a part of TLS.
    uses_tls = settings.tls or broker.asks_for_certificates
    if settings.ca_out is not None and not uses_tls:
        raise click.UsageError("--ca-out needs --tls: only then the broker has a certificate")
    with contextlib.ExitStack() as stack:
        log = RequestLog(
            broker,
            stack.enter_context(journal_file(settings.journal, broker)),
            is_quiet=settings.quiet,
            is_verbose=settings.verbose_log,
        )
        certificate = stack.enter_context(_certificate(settings)) if uses_tls else None
        yield broker, log, certificate


def warn_of_other_hosts(host: str) -> None:
    """Warn that the address to listen on can be reached from other machines."""
    # The broker hands out tokens and prints secrets. On a shared network that must be a decision.
    warn(
        f"--host {host} is not a loopback address: any host that reaches this "
        "machine can get tokens from this broker"
    )


def announce(broker: Broker, control_token: str | None) -> None:
    """Print the banner of a broker that is mounted, with what its control API demands."""
    from mockbroker.cli.console import banner  # noqa: PLC0415 - Flask only if served

    echo(banner(broker, control_token))


def serve_and_log(brokers: Sequence[Broker], server: Server, signals: StopSignals) -> None:
    """Serve until a signal arrives; print how many requests there were.

    A signal that arrived earlier ends it at once.
    """
    # Only `interrupt`: a signal handler may not take the locks that `stop` takes.
    signals.stop_by(server.interrupt)
    before = sum(each.journal.total for each in brokers)
    server.serve_forever()
    announce_end(brokers, before)


def announce_end(brokers: Sequence[Broker], before: int) -> None:
    """Print how many requests there were after the first ``before`` ones."""
    from mockbroker.broker.state import StateError  # noqa: PLC0415 - only when needed

    try:
        count = sum(each.journal.total for each in brokers) - before
    except StateError as error:
        echo(f"stopped; {error}")
    else:
        echo(f"stopped after {count} request{'' if count == 1 else 's'}")


@contextlib.contextmanager
def _certificate(settings: ServeSettings) -> Iterator[ServerCertificate]:
    """Yield a certificate; its CA file stays in ``ca_out``, or exists while the block runs.

    Raises click.ClickException if the CA file cannot be written.
    """
    from mockbroker.server.certificates import throw_away_certificate  # noqa: PLC0415 - when needed

    if settings.ca_out is not None:
        try:
            settings.ca_out.mkdir(parents=True, exist_ok=True)
            certificate = throw_away_certificate(settings.ca_out.absolute(), settings.host)
        except OSError as error:
            raise click.ClickException(f"--ca-out {settings.ca_out}: {error.strerror}") from error
        yield certificate
        return
    # Only the CA certificate is written there. It is public, and clients need it as a file.
    with tempfile.TemporaryDirectory(prefix="mockbroker-") as directory:
        yield throw_away_certificate(Path(directory), settings.host)


def _listen(
    host: str, port: int, certificate: ServerCertificate | None, on_refused: Callable[[str], None]
) -> Server:
    """Make a server. Raises click.ClickException if the address cannot be used."""
    from mockbroker.server.listener import Server  # noqa: PLC0415 - Flask only if served

    try:
        return Server(host, port, tls=certificate, on_refused=on_refused)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; "
            "choose another address with --host or --port (--port 0 takes a free port)"
        ) from error
