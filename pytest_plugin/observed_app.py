"""An app that is run to be observed: what it is told of the broker, and its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from mockbroker.broker import Broker

__all__ = ["AppError", "app_environment", "running_app"]

_ENDING_SECONDS = 10.0
_USUAL = ("TOKEN_URL", "API_URL", "CLIENT_ID", "CLIENT_SECRET", "CA_FILE")


class AppError(Exception):
    """The app cannot be run; the message is one sentence that says why."""


def app_environment(broker: Broker, settings: Sequence[str]) -> dict[str, str]:
    """The environment variables by which an app is told of the broker.

    Each setting is ``NAME=TEXT``, in which ``{token_url}``, ``{api_url}``, ``{client_id}``,
    ``{client_secret}`` and ``{ca_file}`` (empty without TLS) are filled in. Without any setting
    each of them is in a variable of that name, in capitals. Raises AppError for any other setting.
    """
    told = {
        "token_url": broker.token_url,
        "api_url": broker.api_url,
        "client_id": broker.credentials.client_id,
        "client_secret": broker.credentials.client_secret,
        "ca_file": broker.ca_file or "",
    }
    usual = [f"{name}={{{name.lower()}}}" for name in _USUAL if told[name.lower()]]
    return dict(_filled_in(setting, told) for setting in (settings or usual))


def _filled_in(setting: str, told: Mapping[str, str]) -> tuple[str, str]:
    name, equals, text = setting.partition("=")
    if not name or not equals:
        raise AppError(f"--env {setting!r}: write it as NAME=TEXT")
    try:
        return name, text.format_map(told)
    except (KeyError, ValueError, IndexError, AttributeError):
        known = ", ".join(f"{{{each}}}" for each in told)
        raise AppError(f"--env {setting!r}: what can be filled in is {known}") from None


@contextlib.contextmanager
def running_app(
    argv: Sequence[str], environment: Mapping[str, str], when_over: Callable[[], None]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an app while the context lasts; call ``when_over``, in a thread, if it ends before.

    It has our terminal. Raises AppError if it cannot be started.
    """
    try:
        app = subprocess.Popen(list(argv), env={**os.environ, **environment})  # noqa: S603 - the user's
    except OSError as error:
        raise AppError(f"{argv[0]!r} cannot be started: {error.strerror}") from None

    def wait() -> None:
        app.wait()
        when_over()

    waiting = threading.Thread(target=wait, name="mockbroker-app", daemon=True)
    waiting.start()
    try:
        yield app
    finally:
        _end(app)
        waiting.join()


def _end(app: subprocess.Popen[bytes]) -> None:
    if app.poll() is None:
        app.terminate()
    try:
        app.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        app.kill()
        app.wait()
