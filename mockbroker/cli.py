"""The command line: `mockbroker serve`, `clauses`, `explain`, and what others add to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from mockbroker.broker import Broker
    from mockbroker.certificates import ServerCertificate
    from mockbroker.server import Server
    from mockbroker.spec.clause import Clause
    from mockbroker.spec.credentials import Credentials
    from mockbroker.spec.exchange import Exchange

__all__ = ["cli", "main"]

COMMAND_GROUP = "mockbroker.commands"
USAGE_ERROR, INTERRUPTED = 4, 2
"""Exit statuses, as pytest's: a usage error, and an interruption."""


class _Commands(click.Group):
    """The commands here, and those that other packages register as entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(e.name for e in _registered())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = [entry for entry in _registered() if entry.name == cmd_name]
        command: click.Command | None = found[0].load() if found else None
        return command


def _registered() -> Any:
    return entry_points(group=COMMAND_GROUP)


@click.group(cls=_Commands)
@click.version_option(package_name="mockbroker")
def cli() -> None:
    """Run a fake auth-broker, and check OAuth 2.0 client-credentials clients against it."""


def main() -> None:
    """Run the command line; a usage error is one sentence and exit status 4."""
    try:
        status = cli.main(prog_name="mockbroker", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = USAGE_ERROR
    except click.ClickException as error:
        click.echo(f"mockbroker: {error.format_message()}", err=True)
        status = USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)


def _clients(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Credentials, ...]:
    return tuple(_client(text) for text in texts)


def _client(text: str) -> Credentials:
    from mockbroker.spec.credentials import Credentials  # noqa: PLC0415 - only when needed

    client_id, colon, secret = text.partition(":")
    if not client_id or not colon:
        raise click.BadParameter("write it as ID:SECRET (the secret may have colons)")
    return Credentials(client_id, secret)


_client_option = click.option(
    "--client", "clients", metavar="ID:SECRET", multiple=True, callback=_clients
)
_profile_option = click.option("--profile", default="autograb", show_default=True, metavar="NAME")
_config_option = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE.toml", help="File with profiles."
)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@_client_option
@click.option("--expires-in", type=click.FloatRange(min=0), help="Lifetime of tokens in seconds.")
@_profile_option
@click.option("--lenient", is_flag=True, help="Note what is wrong with a request, and answer it.")
@click.option("--tls", is_flag=True, help="Speak HTTPS, with a certificate made on the spot.")
@_config_option
def serve(
    host: str,
    port: int,
    clients: tuple[Credentials, ...],
    tls: bool,  # noqa: FBT001 - a flag of the command line
    **settings: Any,
) -> None:
    """Run the broker until Ctrl-C, saying what is wrong with each request."""
    broker = _make_broker(clients, **settings)
    with tempfile.TemporaryDirectory(prefix="mockbroker-") as directory:
        server = _listen(host, port, _certificate(Path(directory), host) if tls else None)
        server.mount(broker)
        _serve_and_log(broker, server)


def _serve_and_log(broker: Broker, server: Server) -> None:
    from mockbroker.console import banner, exchange_lines  # noqa: PLC0415 - Flask only if served

    def log(exchange: Exchange) -> None:
        lines = exchange_lines(exchange, broker.registered, broker.token_issued_values)
        with contextlib.suppress(OSError):  # nobody reads the output any more
            _echo(lines)

    broker.journal.subscribe(log)
    _stop_on_signals(server.interrupt)
    _echo(banner(broker))
    server.serve_forever()
    _echo(f"stopped after {broker.journal.total} requests")


def _make_broker(
    clients: tuple[Credentials, ...],
    profile: str,
    config: Path | None,
    lenient: bool,  # noqa: FBT001 - a flag of the command line
    expires_in: float | None,
) -> Broker:
    from mockbroker.broker import Broker  # noqa: PLC0415 - only when needed

    broker = Broker(
        profile=_find_profile(profile, config),
        credentials=clients[0] if clients else None,
        expires_in=expires_in,
        strict=not lenient,
    )
    for credentials in clients[1:]:
        broker.register(credentials.client_id, credentials.client_secret)
    return broker


def _find_profile(name: str, config: Path | None) -> Any:
    from mockbroker.profiles import ConfigError, profile_named  # noqa: PLC0415 - only when needed

    try:
        return profile_named(name, config=config)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def _certificate(directory: Path, host: str) -> ServerCertificate:
    from mockbroker.certificates import throw_away_certificate  # noqa: PLC0415 - when needed

    return throw_away_certificate(directory, host)


def _listen(host: str, port: int, certificate: ServerCertificate | None) -> Server:
    from mockbroker.server import Server  # noqa: PLC0415 - Flask only if served

    try:
        return Server(host, port, tls=certificate)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; "
            "choose another with --host or --port (--port 0 takes a free one)"
        ) from error


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop())


def _echo(text: str) -> None:
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def clauses(as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the clauses of the contract."""
    from mockbroker.spec.catalogue import CATALOGUE, CHAPTERS  # noqa: PLC0415 - only when needed

    if as_json:
        click.echo(json.dumps([_clause_row(c) for c in CATALOGUE], indent=2, ensure_ascii=False))
        return
    for chapter in CHAPTERS:
        click.echo(click.style(chapter, bold=True))
        for entry in (c for c in CATALOGUE if c.chapter == chapter):
            click.echo(f"  {entry.level.value:<8} {entry.id}: {entry.title}")
            if entry.sources:
                click.echo(" " * 11 + "; ".join(str(source) for source in entry.sources))


def _clause_row(entry: Clause) -> dict[str, object]:
    return {
        "id": entry.id,
        "level": entry.level.value,
        "title": entry.title,
        "sources": [str(source) for source in entry.sources],
        "passive": entry.passive,
    }


@cli.command()
@_client_option
@_profile_option
@_config_option
def explain(clients: tuple[Credentials, ...], profile: str, config: Path | None) -> None:
    """Read a raw HTTP request or a curl command from stdin; say what is wrong with it."""
    from mockbroker.explain import UnreadableRequestError, explain_text  # noqa: PLC0415

    if sys.stdin.isatty():
        click.echo("Paste a raw HTTP request or a curl command, then press Ctrl-D.", err=True)
    try:
        text = explain_text(sys.stdin.buffer.read(), _find_profile(profile, config), clients)
    except UnreadableRequestError as error:
        raise click.ClickException(str(error)) from error
    click.echo(text)
