"""An app that is run to be observed: what it is told of the broker, and its end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError

from mockbroker.cli.serve import echo
from mockbroker.fake_broker import Broker
from mockbroker.processes.supervisor import SupervisedProgram
from mockbroker.processes.tree import become_subreaper, end_descendants

__all__ = ["AppError", "app_environment", "end_app", "failure_of", "running_app"]

GRACE_SECONDS = 5.0

_USUAL = ("TOKEN_URL", "API_URL", "CLIENT_ID", "CLIENT_SECRET", "CA_FILE")


class AppError(Exception):
    """The app cannot be run; the message is one sentence that says why."""


def app_environment(broker: Broker, settings: Sequence[str]) -> dict[str, str]:
    """Return the environment variables by which an app is told of the broker.

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
) -> Iterator[SupervisedProgram]:
    """Run an app while the context lasts; call ``when_over``, in a thread, if it ends before.

    It has our terminal. Afterwards nothing of it is left, nor any other child of this process.
    Raises AppError if it cannot be started.
    """
    if sys.platform == "win32":
        raise AppError(
            "a COMMAND can be run on a POSIX system only; "
            "run `mockbroker audit` alone, and your app beside it"
        )
    become_subreaper()
    try:
        app = SupervisedProgram(argv, {**os.environ, **environment}, grace_seconds=GRACE_SECONDS)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AppError(f"{argv[0]!r} cannot be started: {reason}") from None
    app.exit_status.add_done_callback(lambda _: when_over())
    try:
        yield app
    finally:
        app.end()
        end_descendants(grace_seconds=GRACE_SECONDS)  # if somebody killed the supervisor


def failure_of(app: SupervisedProgram) -> int:
    """Return the exit status of an app that has ended, as a shell has it: 128 + N if by signal N."""
    status = app.exit_status.result()
    return status if status >= 0 else 128 - status


def end_app(app: SupervisedProgram, name: str, *, by_ctrl_c: bool) -> None:
    """End the app and all that it started, and print how that went."""
    if by_ctrl_c and _is_in_foreground():
        # Ctrl-C reached the app as it reached us, so it may be about to end in its own way. A
        # signal that came in another way reached us alone: there is nothing to wait for.
        with contextlib.suppress(FutureTimeoutError):
            app.exit_status.result(GRACE_SECONDS)
    ending = app.end()
    status = app.exit_status.result()
    echo(f"{name} ended with exit status {status}")
    for process in ending.killed:
        echo(
            f"{process.name} (process {process.pid}) was killed: it did not end "
            f"within {GRACE_SECONDS:g} s of SIGTERM"
        )
    for process in ending.left:
        echo(f"{process.name} (process {process.pid}) still runs: it cannot be ended")


def _is_in_foreground() -> bool:
    """Return whether the keys of a terminal go to our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
