"""A WSGI application for gunicorn, waitress and other servers: ``mockbroker.wsgi:app``.

Environment variables set it up; each has the meaning of an option of `mockbroker serve`:

MOCKBROKER_STATE       the URL of the Redis in which several processes share the broker's state
MOCKBROKER_CLIENTS     ID:SECRET of each client that may request tokens, separated by blanks
MOCKBROKER_PROFILE     the name of the profile
MOCKBROKER_CONFIG      a TOML file of profiles
MOCKBROKER_EXPIRES_IN  the lifetime of tokens in seconds
MOCKBROKER_LENIENT     1 to log what is wrong with a request, but answer it
MOCKBROKER_JOURNAL     a file to which each request and its answer are appended

A server closes idle connections and sends answers in its own way. Faults that concern the
connection or the time of an answer therefore need `mockbroker serve`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from mockbroker.broker.answers import render_json
from mockbroker.cli.serve import prepared
from mockbroker.cli.serve_options import ServeSettings, serve_options, sharing_options
from mockbroker.cli.streams import echo, warn
from mockbroker.server.application import Mounts, create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from mockbroker.fake_broker import Broker

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
    broker.journal.subscribe(log.answered, survives_reset=True)
    if not settings.clients:
        _announce(broker)
    mounts = Mounts()
    mounts[""] = broker
    served = create_app(mounts)
    return served if settings.state else _for_one_process(served)


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
