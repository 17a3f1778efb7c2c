"""Signals that end a check: the first leaves a partial report, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from mockbroker.cli.commands import INTERRUPTED
from mockbroker.processes.signals import ENDING_SIGNALS, is_ignored_for_good

if TYPE_CHECKING:  # its import takes longer than the rest of a command that ends at once
    import pytest

__all__ = ["Interruption"]


class _Interrupted(KeyboardInterrupt):
    """Raised in the main thread by the first signal.

    Not KeyboardInterrupt itself: Python remembers one that leaves a string given to exec(), as
    dataclasses and namedtuples use it, even if it is caught later, and then ends the process by
    SIGINT in place of its exit status. It compares by identity, so that a subclass is not meant.
    """


class Interruption:
    """Handler of SIGINT, SIGTERM and SIGHUP; restores the previous handlers at exit.

    The first signal raises KeyboardInterrupt in the main thread, unless the run is already at its
    end: then the report is complete and being printed. The second signal ends the process at once,
    with exit status 2. Outside the main thread nothing is handled, because Python sets signal
    handlers only in the main thread.

    Use it as a context manager, in the main thread. The handlers run between two bytecodes of the
    main thread, so they need no lock.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._was_signalled = False
        self._session: pytest.Session | None = None
        self._is_ending = False

    def stop(self, session: pytest.Session) -> None:
        """Let the signal stop this session from now on, even if code catches the exception.

        pytest ends the session after the running test, and still reports what was judged.
        """
        self._session = session

    def end(self) -> None:
        """Ignore the first signal from now on, because the run is at its end.

        The second signal still ends the process.
        """
        self._is_ending = True

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING_SIGNALS:
                self._handle(number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # A test may call the command in its own process, whose handlers are then in force
            # again.
            signal.signal(number, handler)

    def _handle(self, number: int) -> None:
        # nohup starts programs with SIGHUP ignored, which must stay so.
        if is_ignored_for_good(number):
            return
        before: Callable[[int, FrameType | None], Any] | int | None = signal.getsignal(number)
        # Handlers that were not set from Python (None) cannot be restored.
        self._before[number] = signal.SIG_DFL if before is None else before
        signal.signal(number, self._interrupt)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._was_signalled:
            # Not sys.exit(), which code that hangs or catches exceptions could prevent.
            os._exit(INTERRUPTED)
        # Set before anything is raised, so that a second signal always ends the process.
        self._was_signalled = True
        if self._session is not None:
            # Other code may catch the KeyboardInterrupt; pytest checks this flag between tests.
            self._session.shouldstop = "interrupted by a signal"
        if not self._is_ending:
            raise _Interrupted
