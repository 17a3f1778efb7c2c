"""The log of requests: on the terminal and, if the user wants one, in a journal file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mockbroker.cli.streams import echo, warn

if TYPE_CHECKING:
    from mockbroker.cli.journal_file import JournalFile
    from mockbroker.fake_broker import Broker
    from mockbroker.model.exchange import Exchange

__all__ = ["RequestLog", "journal_file"]


class RequestLog:
    """The log of requests on the terminal and, if there is one, in a journal file.

    On a terminal that ``is_quiet`` only requests in which something is wrong are printed. If it
    ``is_verbose``, the messages are printed as well.
    """

    def __init__(
        self,
        broker: Broker,
        file: JournalFile | None,
        *,
        is_quiet: bool = False,
        is_verbose: bool = False,
    ) -> None:
        self._broker = broker
        self._file = file
        self._is_quiet = is_quiet
        self._is_verbose = is_verbose

    def answered(self, exchange: Exchange) -> None:
        """Log an exchange with the broker."""
        from mockbroker.cli.console import is_ok, log_lines  # noqa: PLC0415 - Flask only if served

        # Formatted only if it is printed.
        is_printed = not (self._is_quiet and is_ok(exchange))
        mask, is_verbose = self._broker.masked, self._is_verbose
        lines = log_lines(exchange, mask, is_verbose=is_verbose) if is_printed else ""
        self._log(lines, lambda file: file.write(exchange))

    def refused(self, why: str) -> None:
        """Log a request that never reached the broker, because it was malformed or too large."""
        from mockbroker.cli.console import refusal_line  # noqa: PLC0415 - Flask only if served

        now = self._broker.clock.now()
        self._log(refusal_line(now, why), lambda file: file.write_refusal(now, why))

    def _log(self, lines: str, write: Callable[[JournalFile], None]) -> None:
        """Write to the journal, if there is one, and print the lines unless empty.

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
        if lines:
            echo(lines)


def journal_file(
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
