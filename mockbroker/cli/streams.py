"""The standard streams of the command: what is printed, and errors that must not end it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

__all__ = [
    "echo",
    "echo_or_raise",
    "escape_unencodable_output",
    "ignore_closed_output",
    "replace_closed_streams",
    "warn",
]


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
        if stream.isatty():
            click.echo(text, file=stream, color=False if os.environ.get("NO_COLOR") else None)
        else:
            # As click does it, which first looks for a context and a notebook: a log in a file gets
            # a line for each request.
            stream.write(click.unstyle(text) + "\n")
            stream.flush()
    except BrokenPipeError:
        # Otherwise the flush of the buffer at the exit of Python would fail.
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def warn(text: str) -> None:
    """Print a warning to stderr; it never ends the command."""
    echo(f"mockbroker: {text}", err=True)
