"""The options of `mockbroker serve`, which `audit` and `mockbroker.wsgi` share, as one value.

Imports are late: `--help`, and the commands that serve nothing, need none of the broker.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mockbroker.cli.click_options import click_option
from mockbroker.cli.options import CONFIG, PROFILE

if TYPE_CHECKING:
    from mockbroker.model.credentials import Credentials

__all__ = [
    "ServeSettings",
    "client_option",
    "config_option",
    "file_options",
    "log_options",
    "profile_option",
    "serve_options",
    "sharing_options",
]

# A port is 16 bits in TCP.
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The options of `mockbroker serve`; ``expires_in`` is in seconds.

    ``clients`` are empty for random credentials. ``config`` is a TOML file of profiles, ``journal``
    the path of the journal file, ``state`` the URL of a shared state; each may be None. ``workers``
    is the number of processes. ``allowed_hosts`` are further names by which the control API may be
    called. It demands the ``control_token``, if there is one. ``env_file`` and ``ready_file`` are
    written by `mockbroker.cli.published_files`, the CA certificate into ``ca_out``, and the first
    client's private key into ``key_out`` and its certificate into ``cert_out``. ``client_key`` and
    ``client_cert`` have its public keys and its certificate instead. A ``quiet`` log leaves out
    requests in which nothing is wrong, and a ``verbose_log`` has the messages.
    ``issuers`` are further ones, as pairs of a path and the name of a profile. ``scenario`` is a
    TOML file of planned events.
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
    client_key: Path | None = None
    client_cert: Path | None = None
    state: str | None = None
    workers: int = 1
    env_file: Path | None = None
    ready_file: Path | None = None
    ca_out: Path | None = None
    key_out: Path | None = None
    cert_out: Path | None = None
    quiet: bool = False
    verbose_log: bool = False
    issuers: tuple[tuple[str, str], ...] = ()
    scenario: Path | None = None


_CLIENTS = "MOCKBROKER_CLIENTS"
"""The variable that has the clients, which other users cannot read as they can a command line."""


def _clients(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Credentials, ...]:
    """Read the values of ``--client``, or of its variable. Raises click.BadParameter.

    The values are not quoted, except for an id: they hold secrets.
    """
    source = context.get_parameter_source(str(parameter.name))
    try:
        return _distinct(tuple(map(_client, texts)))
    except click.BadParameter as error:
        if source is not ParameterSource.ENVIRONMENT:
            raise
        # click splits the variable at blanks, so that a secret with a blank is in pieces.
        message = f"{error.message}; blanks separate several clients"
        raise click.BadParameter(message, param_hint=_CLIENTS) from None


def _distinct(clients: tuple[Credentials, ...]) -> tuple[Credentials, ...]:
    """Return the clients. Raises click.BadParameter if an id occurs twice."""
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


def _port(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    """Read the value of ``--port``. Raises click.BadParameter."""
    # int() would also accept "1_0", " 1 " and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > HIGHEST_PORT:
        raise click.BadParameter(f"must be an integer from 0 to {HIGHEST_PORT}, not {text!r}")
    return int(text)


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


def _issuers(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Read the values of ``--issuer``. Raises click.BadParameter."""
    issuers = tuple(_issuer(text) for text in texts)
    paths = [path for path, _ in issuers]
    duplicate = next((each for each in paths if paths.count(each) > 1), None)
    if duplicate is not None:
        raise click.BadParameter(f"path {duplicate} is given twice; keep one of them")
    return issuers


def _issuer(text: str) -> tuple[str, str]:
    """Read one ``PATH=PROFILE``. Raises click.BadParameter."""
    path, _, profile = text.partition("=")
    # Paths that begin with a dot or underscores are those of documents and of the control API.
    if not re.fullmatch(r"(?:/[A-Za-z0-9~-][A-Za-z0-9._~-]*)+", path) or not profile:
        raise click.BadParameter(f"write it as PATH=PROFILE, such as /tenant=rfc6749, not {text!r}")
    return path, profile


def client_option(
    help_text: str, *, has_variable: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``--client``; the command gets ``clients``."""
    return click.option(
        "--client",
        "clients",
        metavar="ID:SECRET",
        multiple=True,
        envvar=_CLIENTS if has_variable else None,
        callback=_clients,
        help=f"{help_text} Repeat the option for several.",
    )


def _file_option(
    name: str, help_text: str, *, metavar: str = "FILE"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds an option with the path of a file, which need not exist."""
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option(name, type=kind, metavar=metavar, help=help_text)


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
        callback=_port,
        default="8080",
        help="Port to listen on; 0 takes a free one. (default: 8080)",
    ),
    # Also by an environment variable, for the secret.
    client_option(
        "Client that may request tokens, random by default. [env: MOCKBROKER_CLIENTS, separated by "
        "blanks]",
        has_variable=True,
    ),
    _file_option(
        "--client-key",
        "Public keys of the first client, for a profile with private_key_jwt: PEM or a JWK "
        "Set. By default the broker makes a key.",
    ),
    _file_option(
        "--client-cert",
        "The first client's certificate (PEM), for a profile with tls_client_auth or "
        "self_signed_tls_client_auth; its authorities may follow. By default the broker makes one.",
    ),
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
    _file_option(
        "--journal",
        "Append each request and its answer as a line of JSON, secrets masked.",
        metavar="FILE.jsonl",
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
        "--issuer",
        "issuers",
        metavar="PATH=PROFILE",
        multiple=True,
        callback=_issuers,
        help="Serve another broker below that path, with the same clients and tokens of its own. "
        "Repeat the option for several.",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Serve with N processes, which need a --state. (default: 1)",
    ),
)

_FILE_OPTIONS = (
    _file_option(
        "--env-file",
        "Write TOKEN_URL, API_URL, CLIENT_ID, CLIENT_SECRET and CA_FILE into this file while "
        "the broker runs, for `docker run --env-file` and for a shell. Only its owner can read it.",
    ),
    click.option(
        "--ca-out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Write the CA certificate to DIR/ca.pem, where it stays. Needs --tls.",
    ),
    _file_option(
        "--key-out",
        "Write the private key that the broker has made for the first client into this file "
        "(PEM) while the broker runs. Only its owner can read it.",
    ),
    _file_option(
        "--cert-out",
        "Write the certificate that the broker has made for the first client into this file "
        "(PEM) while the broker runs; its key goes to --key-out.",
    ),
    _file_option(
        "--ready-file",
        "Write this file once the broker listens, and remove it at the end.",
    ),
    _file_option(
        "--scenario",
        "Planned events: outages, revocations, rotated secrets, after N requests or seconds.",
        metavar="FILE.toml",
    ),
    click.option(
        "--quiet", "-q", is_flag=True, help="Log only requests in which something is wrong."
    ),
)

# `audit` has an option of that name for its report.
_VERBOSE_OPTION = click.option(
    "--verbose",
    "-v",
    "verbose_log",
    is_flag=True,
    help="Log the header fields and the bodies of each request and its answer, secrets masked.",
)


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--verbose`` to a command that has `serve_options`."""
    return _VERBOSE_OPTION(command)


def file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of other files and of the log to a command that has `serve_options`."""
    for option in reversed(_FILE_OPTIONS):
        option(command)
    return command


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
