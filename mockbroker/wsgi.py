"""A WSGI application for gunicorn, waitress and other servers: ``mockbroker.wsgi:app``.

Environment variables set it up; each has the meaning of an option of `mockbroker serve`:

MOCKBROKER_STATE       the URL of the Redis in which several processes share the broker's state
MOCKBROKER_CLIENTS     ID:SECRET of each client that may request tokens, separated by blanks
MOCKBROKER_PROFILE     the name of the profile
MOCKBROKER_CONFIG      a TOML file of profiles
MOCKBROKER_EXPIRES_IN  the lifetime of tokens in seconds
MOCKBROKER_LENIENT     1 to log what is wrong with a request, but answer it
MOCKBROKER_JOURNAL     a file to which each request and its answer are appended

MOCKBROKER_CONTROL_TOKEN  serve the control API and the live page, which demand this token
MOCKBROKER_ALLOWED_HOSTS  names by which programs may call the control API, separated by blanks

The live page keeps a request open for its events, so the server needs several threads. A server
closes idle connections and sends answers in its own way. Faults that concern the connection or the
time of an answer therefore need `mockbroker serve`.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from mockbroker.broker.answers import Reply, render_json
from mockbroker.broker.mounting import CONTROL_PATH
from mockbroker.broker.profiles import profile_named
from mockbroker.cli.serve import access_of, prepared
from mockbroker.cli.serve_options import ServeSettings, serve_options, sharing_options
from mockbroker.cli.streams import echo, warn
from mockbroker.model.messages import Request
from mockbroker.server.application import Mounts, create_app
from mockbroker.server.control.access import ControlAccess, denial_of
from mockbroker.server.control.api import ControlApi
from mockbroker.server.control.live_page import PageAtRoot

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from mockbroker.fake_broker import Broker
    from mockbroker.model.profile import Profile

__all__ = ["app"]

PREFIX = "MOCKBROKER"
# Never closed: the journal file is open as long as the process runs.
_resources = contextlib.ExitStack()
USAGE_ERROR = 4
"""The exit status of a usage error. gunicorn ends after it instead of starting the next worker."""


def _settings() -> ServeSettings:
    """Return the settings from the environment. Raises click.ClickException."""

    @click.command()
    @sharing_options
    @serve_options
    def command(settings: ServeSettings) -> None:
        """Declare the options, whose names are those of the variables."""

    context = command.make_context("mockbroker", [], auto_envvar_prefix=PREFIX)
    return ServeSettings(**context.params)


def _make_app() -> WSGIApplication:
    """Return the application. Raises SystemExit, after a message, if a setting is invalid."""
    try:
        settings = _settings()
        broker, log, _ = _resources.enter_context(prepared(settings))
    except click.ClickException as error:
        warn(error.format_message())
        raise SystemExit(USAGE_ERROR) from error
    broker.journal.subscribe(log.answered, survives_reset=True, is_prompt=True)
    if not settings.clients:
        _announce(broker)
    mounts = Mounts()
    mounts[""] = broker
    # Not known here: whether only this machine can reach the server. So the token is always needed.
    if settings.control_token is not None:
        access = access_of(settings)
        mounts[""] = PageAtRoot(broker, broker, "", access)
        find = functools.partial(profile_named, config=settings.config)
        mounts[CONTROL_PATH] = _ControlAtOrigin(broker, access, find)
    served = create_app(mounts)
    return served if settings.state else _for_one_process(served)


class _ControlAtOrigin(ControlApi):
    """A control API whose URLs have the origin of the request: no other origin is known.

    Thread-safe.
    """

    def __init__(
        self, broker: Broker, access: ControlAccess, find_profile: Callable[[str], Profile]
    ) -> None:
        super().__init__(broker, access, find_profile)
        self._located = broker
        self._guard = access
        self._origin = ""
        self._lock = threading.Lock()

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a control request; the broker's URLs begin with its origin from then on."""
        # A request that is refused may name any host.
        if denial_of(request.headers, origin.partition(":")[0], self._guard) is None:
            with self._lock:
                if origin != self._origin:
                    self._located.mounted_at(origin, "")
                    self._origin = origin
        return super().handle(request, origin)


def _announce(broker: Broker) -> None:
    """Print the random credentials."""
    client = broker.credentials
    echo(f"mockbroker: client_id {client.client_id}, client_secret {client.client_secret}")


def _for_one_process(served: WSGIApplication) -> WSGIApplication:
    """Return an application that answers 503 if several processes run it without a shared state.

    A token of one process would be unknown to the others, and clients would get 401 now and then.
    """

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("wsgi.multiprocess"):
            return served(environ, start_response)
        message = "several processes serve this broker: set MOCKBROKER_STATE to a Redis they share"
        members: dict[str, Any] = {"error": "server_error", "error_description": message}
        start_response("503 Service Unavailable", [("Content-Type", "application/json")])
        return [render_json(members)]

    return application


app = _make_app()
