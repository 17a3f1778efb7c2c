"""Serving a broker in the foreground: the options, the signals and the log.

`mockbroker audit` serves in the same way and shares everything here. Flask is
imported only once a broker is served, because its import is slow.

What a request is judged by and answered with is not decided here: the broker does that. This module
owns the signals and the streams of the process.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockbroker.cli.click_options import click_option
from mockbroker.cli.options import CONFIG, PROFILE
from mockbroker.processes.signals import ENDING_SIGNALS, is_ignored_for_good, release_signals

if TYPE_CHECKING:
    from mockbroker.cli.journal_file import JournalFile
    from mockbroker.fake_broker import Broker
    from mockbroker.model.credentials import Credentials
    from mockbroker.model.exchange import Exchange
    from mockbroker.model.profile import Profile
    from mockbroker.server.certificates import ServerCertificate
    from mockbroker.server.listener import Server

__all__ = [
    "RequestLog",
    "ServeSettings",
    "StopSignals",
    "announce",
    "announce_end",
    "client_option",
    "config_option",
    "echo",
    "echo_or_raise",
    "escape_unencodable_output",
    "find_profile",
    "ignore_closed_output",
    "listening",
    "prepared",
    "profile_option",
    "replace_closed_streams",
    "serve_and_log",
    "serve_options",
    "sharing_options",
    "warn",
    "warn_of_other_hosts",
]


# A port is 16 bits in TCP.
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The options of `mockbroker serve`; ``expires_in`` is in seconds.

    ``clients`` are empty for random credentials. ``config`` is a TOML file of profiles, ``journal``
    the path of the journal file, ``state`` the URL of a shared state; each may be None. ``workers``
    is the number of processes. ``allowed_hosts`` are further names by which the control API may be
    called. It demands the ``control_token``, if there is one.
    """

    host: str
    port: int
    clients: tuple[Credentials, ...]
    expires_in: float | None
    profile: str
    lenient: bool
    tls: bool
    journal: Path | None
    config: Path | None
    allowed_hosts: tuple[str, ...] = ()
    control_token: str | None = None
    state: str | None = None
    workers: int = 1


def _clients(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Credentials, ...]:
    """Read the values of ``--client``. Raises click.BadParameter if an id occurs twice.

    The values are not quoted, except for an id: they hold secrets.
    """
    clients = tuple(_client(text) for text in texts)
    # The registry would keep the last secret only, and the user would wonder about the first.
    ids = [credentials.client_id for credentials in clients]
    duplicate = next((each for each in ids if ids.count(each) > 1), None)
    if duplicate is not None:
        raise click.BadParameter(f"client id {duplicate!r} is given twice; keep one of them")
    return clients


def _client(text: str) -> Credentials:
    """Read one ``ID:SECRET``, split at the first colon. Raises click.BadParameter."""
    from mockbroker.model.credentials import Credentials  # noqa: PLC0415 - only when needed

    # RFC 7617, 2: a client_id has no colon, so the first one ends it.
    client_id, colon, secret = _as_utf8(text).partition(":")
    if not client_id or not colon:
        raise click.BadParameter("write it as ID:SECRET (the secret may have colons)")
    return Credentials(client_id, secret)


def _as_utf8(text: str) -> str:
    """Return the argument decoded as UTF-8, also where the locale has another encoding.

    Raises click.BadParameter if it is not valid UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # Python keeps bytes that the locale cannot decode as surrogates
        try:
            # In the C locale of a container, arguments beyond ASCII arrive as surrogates. The bytes
            # are right.
            return os.fsencode(text).decode()
        except UnicodeError:
            raise click.BadParameter("it is not valid UTF-8") from None
    return text


def _port(_context: click.Context, _parameter: click.Parameter, port: int) -> int:
    """Check the value of ``--port``. Raises click.BadParameter."""
    if not 0 <= port <= HIGHEST_PORT:
        raise click.BadParameter(f"must be from 0 to {HIGHEST_PORT}, not {port}")
    return port


def _lifetime(
    _context: click.Context, _parameter: click.Parameter, seconds: float | None
) -> float | None:
    """Check the value of ``--expires-in``. Raises click.BadParameter."""
    from mockbroker.model.profile import lifetime_problem  # noqa: PLC0415 - only when needed

    problem = "" if seconds is None else lifetime_problem(seconds)
    if problem:
        raise click.BadParameter(problem)
    return seconds


def _allowed_hosts(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Check the values of ``--allow-host``. Raises click.BadParameter."""
    from mockbroker.server.control.access import host_problem  # noqa: PLC0415 - only when needed

    problem = next(filter(None, map(host_problem, names)), "")
    if problem:
        raise click.BadParameter(problem)
    return names


def _control_token(
    _context: click.Context, _parameter: click.Parameter, token: str | None
) -> str | None:
    """Check the value of ``--control-token``. Raises click.BadParameter without quoting it."""
    # It is sent in a header field: one line of ASCII, without blanks.
    if token is not None and not re.fullmatch(r"[!-~]{8,}", token):
        raise click.BadParameter("must have 8 or more ASCII characters, without blanks")
    return token


def client_option(
    help_text: str,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``--client``; the command gets ``clients``."""
    return click.option(
        "--client",
        "clients",
        metavar="ID:SECRET",
        multiple=True,
        callback=_clients,
        help=f"{help_text} Repeat the option for several.",
    )


profile_option = click_option(PROFILE)
config_option = click_option(CONFIG)
_OPTIONS = (
    click.option(
        "--host",
        metavar="NAME",
        default="127.0.0.1",
        help="Address to listen on. (default: 127.0.0.1)",
    ),
    # A fixed default, unlike in a test: the user copies the URL into the settings of an app.
    click.option(
        "--port",
        metavar="N",
        type=int,
        callback=_port,
        default=8080,
        help="Port to listen on; 0 takes a free one. (default: 8080)",
    ),
    client_option("Client that may request tokens, random by default."),
    click.option(
        "--expires-in",
        metavar="SECONDS",
        type=float,
        callback=_lifetime,
        help="Lifetime of tokens, by default that of the profile.",
    ),
    profile_option,
    click.option(
        "--lenient", is_flag=True, help="Log what is wrong with a request, but answer it."
    ),
    click.option("--tls", is_flag=True, help="Speak HTTPS, with a temporary certificate."),
    click.option(
        "--journal",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.jsonl",
        help="Append each request and its answer as a line of JSON, secrets masked.",
    ),
    config_option,
    click.option(
        "--allow-host",
        "allowed_hosts",
        metavar="NAME",
        multiple=True,
        callback=_allowed_hosts,
        help="Name by which other programs may call the control API, besides localhost and "
        "127.0.0.1. Repeat the option for several.",
    ),
    # Also by an environment variable: other users of the machine can read a command line.
    click.option(
        "--control-token",
        metavar="TOKEN",
        envvar="MOCKBROKER_CONTROL_TOKEN",
        callback=_control_token,
        help="Token that the control API demands. By default none on a loopback address, and a "
        "random one, which is printed, on any other. [env: MOCKBROKER_CONTROL_TOKEN]",
    ),
)
_SHARING_OPTIONS = (
    click.option(
        "--state",
        metavar="URL",
        envvar="MOCKBROKER_STATE",
        show_envvar=True,
        help="Keep the state in this Redis, such as redis://127.0.0.1:6379/0.",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Serve with N processes, which need a --state. (default: 1)",
    ),
)


def sharing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of several processes to a command that has `serve_options`."""
    for option in reversed(_SHARING_OPTIONS):
        option(command)
    return command


def serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `mockbroker serve` to a command, which gets them as ``settings``."""

    @functools.wraps(command)
    def wrapper(**options: Any) -> None:
        names = [field.name for field in fields(ServeSettings) if field.name in options]
        given = {name: options.pop(name) for name in names}
        command(settings=ServeSettings(**given), **options)

    # Decorators apply from the last to the first; --help must show this order.
    for option in reversed(_OPTIONS):
        option(wrapper)
    return wrapper


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
        broker.journal.subscribe(log.answered, survives_reset=True)
        yield broker, server


def mount_control(server: Server, broker: Broker, settings: ServeSettings) -> None:
    """Serve the control API of the broker."""
    from mockbroker.broker.profiles import profile_named  # noqa: PLC0415 - only when needed
    from mockbroker.server.certificates import WILDCARDS  # noqa: PLC0415 - only when needed
    from mockbroker.server.control.access import ControlAccess  # noqa: PLC0415 - only when needed

    # The name that the user has given to this machine.
    own = () if settings.host in WILDCARDS else (settings.host,)
    access = ControlAccess(
        allowed_hosts=(*settings.allowed_hosts, *own), token=settings.control_token
    )
    find = functools.partial(profile_named, config=settings.config)
    server.mount_control(broker, access=access, find_profile=find)


@contextlib.contextmanager
def prepared(
    settings: ServeSettings,
) -> Iterator[tuple[Broker, RequestLog, ServerCertificate | None]]:
    """Make what serving needs beside a port: a broker, a log of its requests, a certificate.

    Raises click.ClickException, with a message of one sentence, if a setting is invalid.
    """
    broker = _make_broker(settings)
    with contextlib.ExitStack() as stack:
        log = RequestLog(broker, stack.enter_context(_journal_file(settings.journal, broker)))
        certificate = stack.enter_context(_certificate(settings.host)) if settings.tls else None
        yield broker, log, certificate


def warn_of_other_hosts(host: str) -> None:
    """Warn that the address to listen on can be reached from other machines."""
    # The broker hands out tokens and prints secrets. On a shared network that must be a decision.
    warn(
        f"--host {host} is not a loopback address: any host that reaches this "
        "machine can get tokens from this broker"
    )


class StopSignals:
    """Handlers for SIGINT, SIGTERM and SIGHUP, which stop the command in an orderly way.

    They are set at construction, before the command makes a folder or a server. Therefore the
    command can remove these after a signal. SIGHUP stays ignored if it is, as below nohup. Only
    the main thread can construct it.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        """The first signal that arrived, or None."""
        self._stop: Callable[[], None] | None = None
        for number in ENDING_SIGNALS:
            # nohup starts programs with SIGHUP ignored, so that they survive the end of the
            # terminal.
            if not is_ignored_for_good(number):
                signal.signal(number, self._receive)
        release_signals()

    def stop_by(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when a signal arrives, or now if one has arrived. It must not block."""
        # Set before `received` is read: a signal between the two steps then stops the server twice,
        # which does no harm. The other order could miss the signal.
        self._stop = stop
        if self.received is not None:
            stop()

    def _receive(self, number: int, _frame: object) -> None:
        """Note the first signal and stop the command; a later one stops it again, without harm."""
        # No lock and no print here: the handler may interrupt code that holds the same lock.
        self.received = self.received or number
        if self._stop is not None:
            self._stop()


def announce(broker: Broker, control_token: str | None) -> None:
    """Print the banner of a broker that is mounted, with what its control API demands."""
    from mockbroker.cli.console import banner  # noqa: PLC0415 - Flask only if served

    echo(banner(broker, control_token))


def serve_and_log(broker: Broker, server: Server, signals: StopSignals) -> None:
    """Serve until a signal arrives; print how many requests there were.

    A signal that arrived earlier ends it at once.
    """
    # Only `interrupt`: a signal handler may not take the locks that `stop` takes.
    signals.stop_by(server.interrupt)
    before = broker.journal.total
    server.serve_forever()
    announce_end(broker, before)


def announce_end(broker: Broker, before: int) -> None:
    """Print how many requests there were after the first ``before`` ones."""
    from mockbroker.broker.state import StateError  # noqa: PLC0415 - only when needed

    try:
        count = broker.journal.total - before
    except StateError as error:
        echo(f"stopped; {error}")
    else:
        echo(f"stopped after {count} request{'' if count == 1 else 's'}")


@contextlib.contextmanager
def ignore_closed_output() -> Iterator[None]:
    """Ignore errors of stdout in the block, such as a closed terminal or pipe.

    After an error stdout is /dev/null: otherwise the flush at the exit of Python would fail too.
    """
    try:
        yield
    except OSError:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())


class RequestLog:
    """The log of requests on the terminal and, if there is one, in a journal file."""

    def __init__(self, broker: Broker, file: JournalFile | None) -> None:
        self._broker = broker
        self._file = file

    def answered(self, exchange: Exchange) -> None:
        """Log an exchange with the broker."""
        from mockbroker.cli.console import log_lines  # noqa: PLC0415 - Flask only if served

        lines = log_lines(exchange, self._broker.masked)
        self._log(lines, lambda file: file.write(exchange))

    def refused(self, why: str) -> None:
        """Log a request that never reached the broker, because it was malformed or too large."""
        from mockbroker.cli.console import refusal_line  # noqa: PLC0415 - Flask only if served

        now = self._broker.clock.now()
        self._log(refusal_line(now, why), lambda file: file.write_refusal(now, why))

    def _log(self, lines: str, write: Callable[[JournalFile], None]) -> None:
        """Write to the journal, if there is one, and print the lines.

        Called in the threads that serve requests; each call prints once, so that lines do not mix.
        """
        # The file comes first: an error of the terminal must not cost it a line.
        if self._file is not None:
            try:
                write(self._file)
            except OSError as error:
                # One message, then no more attempts: a full disk would otherwise fill the terminal
                # as well.
                self._file = None
                warn(f"cannot write to the journal ({error.strerror}); it ends here")
        echo(lines)


def _journal_file(
    path: Path | None, broker: Broker
) -> contextlib.AbstractContextManager[JournalFile | None]:
    """Return a context manager that opens the journal file, or None without a path."""
    from mockbroker.cli.journal_file import JournalFile  # noqa: PLC0415 - only when needed

    if path is None:
        return contextlib.nullcontext()
    try:
        file = JournalFile(path, broker.journal.mask)
    except OSError as error:
        raise click.ClickException(f"--journal {path}: {error.strerror}") from error
    if file.shared_mode:
        warn(f"other users can read --journal {path} (mode {file.shared_mode:04o}); run chmod 600")
    return contextlib.closing(file)


def _make_broker(settings: ServeSettings) -> Broker:
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


def find_profile(name: str, config: Path | None) -> Profile:
    """Return the profile of that name. Raises click.ClickException if it is unknown.

    ``config`` is a TOML file with more profiles, or None.
    """
    from mockbroker.broker.profiles import ConfigError, profile_named  # noqa: PLC0415 - only when needed

    try:
        return profile_named(name, config=config)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


@contextlib.contextmanager
def _certificate(host: str) -> Iterator[ServerCertificate]:
    """Yield a certificate whose CA file exists as long as the block runs."""
    from mockbroker.server.certificates import throw_away_certificate  # noqa: PLC0415 - when needed

    # Only the CA certificate is written there. It is public, and clients need it as a file.
    with tempfile.TemporaryDirectory(prefix="mockbroker-") as directory:
        yield throw_away_certificate(Path(directory), host)


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


def replace_closed_streams() -> None:
    """Open /dev/null for each standard stream that was closed when the process started.

    Otherwise the next file or socket would get the descriptor of that stream, and with it the
    output for the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # POSIX gives out the lowest free descriptor, so this is usually the closed one itself.
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            # Python makes descriptors non-inheritable, but a child expects its standard streams.
            os.set_inheritable(number, True)  # noqa: FBT003 - its one argument
            mode = "w" if number else "r"
            # closefd=False: Python closes its streams at exit, and the descriptor must stay open as
            # long.
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def escape_unencodable_output() -> None:
    """Escape the characters that stdout and stderr cannot encode, from now on.

    Called once at the start of a command. Output must not fail because of a character.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not None, and not the stream of a test
            # A client_id or a path may hold any character, and a UnicodeEncodeError would end the
            # log.
            stream.reconfigure(errors="backslashreplace")


def echo(text: str, *, err: bool = False) -> None:
    """Print a string, with colours only on a terminal and without NO_COLOR.

    Ignores errors of the stream, such as a full disk or a reader that is gone.
    """
    with contextlib.suppress(OSError):  # the broker continues without its log
        echo_or_raise(text, err=err)


def echo_or_raise(text: str, *, err: bool = False) -> None:
    """Print as `echo` does, but raise OSError if writing fails while the reader still reads."""
    # The stream is passed explicitly: click's own choice would write UTF-8 to an ASCII stream.
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream, color=False if os.environ.get("NO_COLOR") else None)
    except BrokenPipeError:
        # Otherwise the flush of the buffer at the exit of Python would fail.
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def warn(text: str) -> None:
    """Print a warning to stderr; it never ends the command."""
    echo(f"mockbroker: {text}", err=True)
