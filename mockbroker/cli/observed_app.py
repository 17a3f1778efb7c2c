"""The app that `mockbroker audit` runs: its environment, its start and its end.

The app may be a test suite, a server, or a script that starts others. The audit
ends all of its processes, as far as the system allows.

Whether the app conforms is judged in `mockbroker.cli.audit_run`. Processes are found and ended in
`mockbroker.processes`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError

from mockbroker.broker.client_setup import filled_variable, setup_of
from mockbroker.cli.streams import echo
from mockbroker.fake_broker import Broker
from mockbroker.processes.supervisor import SupervisedProgram
from mockbroker.processes.tree import become_subreaper, end_descendants

__all__ = ["AppError", "app_environment", "end_app", "failure_of", "running_app"]

GRACE_SECONDS = 5.0
"""How long the app may take to end, after Ctrl-C and again after SIGTERM, before it is killed."""


class AppError(Exception):
    """The app cannot be run; the message is one sentence that says why."""


def app_environment(broker: Broker, settings: Sequence[str]) -> dict[str, str]:
    """Return the environment variables that pass the broker's URLs and credentials to an app.

    Each setting is ``NAME=TEXT``, in which the names of `ClientSetup.settings` are filled in, such
    as ``{token_url}``. Without settings there are those of `ClientSetup.variables`. Raises AppError
    for a malformed setting.
    """
    setup = setup_of(broker)
    try:
        filled = dict(filled_variable(text, setup.settings) for text in settings)
    except ValueError as error:
        raise AppError(f"--env {error}") from error
    return filled or dict(setup.variables)


@contextlib.contextmanager
def running_app(
    argv: Sequence[str], environment: Mapping[str, str], when_over: Callable[[], None]
) -> Iterator[SupervisedProgram]:
    """Run an app while the block runs; call ``when_over``, in a thread, if it ends before.

    The app uses our terminal. At the end of the block every process of the app, and every other
    child of this process, has been ended. Raises AppError if the app cannot be started.
    """
    if sys.platform == "win32":
        raise AppError(
            "a COMMAND needs a POSIX system; "
            "run `mockbroker audit` without it, and start your app yourself"
        )
    # If the supervisor is killed, its children come to this process, which ends them below.
    become_subreaper()
    try:
        # The app keeps the user's environment, so that it finds its interpreter and its other
        # settings.
        app = SupervisedProgram(argv, {**os.environ, **environment}, grace_seconds=GRACE_SECONDS)
    except (OSError, ValueError) as error:
        # ValueError has no strerror; it means a string that no program can get, such as one with a
        # null character.
        reason = getattr(error, "strerror", None) or error
        raise AppError(f"{argv[0]!r} cannot be started: {reason}") from None
    # The callback runs in the supervisor's thread, or here if the app has ended already.
    app.exit_status.add_done_callback(lambda _: when_over())
    try:
        yield app
    finally:
        app.end()
        # Needed if another program killed the supervisor: its children are then ours.
        end_descendants(grace_seconds=GRACE_SECONDS)


def failure_of(app: SupervisedProgram) -> int:
    """Wait for the app's end; return its exit status as a shell does: 128 + N for signal N."""
    status = app.exit_status.result()
    return status if status >= 0 else 128 - status


def end_app(app: SupervisedProgram, name: str, *, by_ctrl_c: bool) -> None:
    """End the app and all that it started; print its exit status and the killed processes.

    ``by_ctrl_c`` if SIGINT ended the audit. A killed process is named, because a developer who
    never sees it would not know that the app leaves daemons.

    Returns when all have ended. Each line is printed after that, so the output of the app precedes
    it.
    """
    if by_ctrl_c and _is_in_foreground():
        # Ctrl-C reached the app as it reached us, so the app may be about to end by itself. A
        # signal from another source reached us alone: waiting would be useless.
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
    """Return whether our process group is in the foreground of a terminal.

    False without a controlling terminal, as in a CI job.
    """
    try:
        # /dev/tty, because stdin may be a pipe although Ctrl-C comes from the terminal.
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
