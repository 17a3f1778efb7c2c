"""The progress of a check: a live line on a terminal, a plain line every ten seconds in a log.

It is written to stderr, so that stdout has the report only.

A run takes minutes, and a user should see that it advances. The display never changes the run: its
errors are ignored.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mockbroker.broker.clock import real_seconds
from mockbroker.cli.printing import print_error
from mockbroker.report.terminal_lines import plain

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Display", "Position", "progress_display"]

LOG_INTERVAL_SECONDS = 10.0
"""The time between two lines in a log. CI servers end jobs that write nothing for minutes."""


@dataclass(frozen=True, slots=True)
class Position:
    """The progress of a run: clause ``number`` of ``total`` is being judged, counted from 1.

    Times are real seconds.
    """

    number: int
    total: int
    clause_id: str
    elapsed_seconds: float

    @property
    def left_seconds(self) -> float | None:
        """The estimated time for the rest, in seconds; None before the first clause is done."""
        done = self.number - 1
        # Linear, because the times of the single clauses for this client are not known in advance.
        return self.elapsed_seconds / done * (self.total - done) if done else None

    def __str__(self) -> str:
        left = self.left_seconds
        parts = (
            f"clause {self.number} of {self.total}",
            f"{_clock(self.elapsed_seconds)} elapsed",
            *([f"about {_clock(left)} left"] if left is not None else []),
            self.clause_id,
        )
        return ", ".join(parts)


def _clock(seconds: float) -> str:
    """Return a duration as minutes and two digits of seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


class Display(Protocol):
    """A display of a run's progress. No method raises if the output cannot be written.

    ``begin`` is called for each clause, ``note`` at any time, ``end`` last.
    """

    def begin(self, number: int, total: int, clause_id: str) -> None:
        """Show which clause is judged from now on."""

    def note(self, text: str) -> None:
        """Show a line at once, before the report."""

    def end(self) -> None:
        """End the display and remove it from the screen. May be called twice."""


def progress_display() -> Display:
    """Return the display that suits standard error."""
    # Editors and some CI servers show a terminal that cannot move the cursor.
    is_simple = os.environ.get("TERM") in ("dumb", "unknown")
    return _LiveLine() if sys.stderr.isatty() and not is_simple else _LogLines()


class _LogLines:
    """A display that logs a line every ten seconds.

    A thread writes it, because a single clause may take longer than that.
    """

    def __init__(self) -> None:
        self._began_at = real_seconds()
        self._current = (0, 0, "")
        # Set once and never cleared: a display serves one run.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._log, name="mockbroker-progress", daemon=True)

    def begin(self, number: int, total: int, clause_id: str) -> None:
        # One tuple, replaced as a whole: the thread that logs never sees a half of it.
        self._current = (number, total, clause_id)
        # Started by the first clause: before it the run has no position to print.
        if not (self._thread.is_alive() or self._ended.is_set()):
            self._thread.start()

    def note(self, text: str) -> None:
        """Log the line at once: the report may be minutes away."""
        print_error(text)

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _log(self) -> None:
        """Print the position at each interval until the end; the body of the thread."""
        # An event instead of a sleep, so that the end of a run need not wait for the interval.
        while not self._ended.wait(LOG_INTERVAL_SECONDS):
            print_error(str(Position(*self._current, real_seconds() - self._began_at)))


class _LiveLine:
    """A progress bar of rich with the clause, the elapsed time and the time left.

    It is redrawn only when a clause begins. At other times the client may be in a debugger, and
    the bar would overwrite its prompt.
    """

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def begin(self, number: int, total: int, clause_id: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; the check continues
            if self._progress is None:
                self._progress = _rich_progress(total)
                self._progress.start()
            task = self._progress.task_ids[0]
            self._progress.update(task, completed=number - 1, number=number, description=clause_id)
            self._progress.refresh()

    def note(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - rich only on a terminal

        if self._progress is not None:
            with contextlib.suppress(OSError):
                # A Text, not a string: rich interprets markup in strings, and this one may come
                # from the client.
                unmarked = Text(plain(text, sys.stderr.encoding))
                self._progress.console.print(unmarked, soft_wrap=True)

    def end(self) -> None:
        if self._progress is not None:
            with contextlib.suppress(OSError):
                self._progress.stop()
            # A second call of `end` finds nothing to stop.
            self._progress = None


def _rich_progress(total: int) -> Progress:
    """Return the progress bar, which imports rich."""
    from rich.console import Console  # noqa: PLC0415 - rich only on a terminal
    from rich.progress import (  # noqa: PLC0415 - rich only on a terminal
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class VisibleCursorConsole(Console):
        """A console that never hides the cursor: a second Ctrl-C ends the process at once."""

        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - rich's
            return False

    progress = Progress(
        BarColumn(bar_width=20),
        TextColumn("clause {task.fields[number]} of {task.total:.0f}", markup=False),
        TimeElapsedColumn(),
        TextColumn("elapsed,", markup=False),
        TimeRemainingColumn(),
        TextColumn("left", markup=False),
        TextColumn("{task.description}", markup=False),
        console=VisibleCursorConsole(file=sys.stderr),
        # No thread of rich redraws the line; see `_LiveLine`.
        auto_refresh=False,
        transient=True,
        # rich would otherwise replace sys.stdout for the whole process, the client's output
        # included.
        redirect_stdout=False,
        redirect_stderr=False,
        # The client's clock may be frozen or moved, and the elapsed time must not be.
        get_time=real_seconds,
    )
    progress.add_task("", total=total, number=1)
    return progress
