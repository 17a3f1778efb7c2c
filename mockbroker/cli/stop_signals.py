"""The signals that stop a command which serves."""

from __future__ import annotations

import signal
from collections.abc import Callable

from mockbroker.processes.signals import ENDING_SIGNALS, is_ignored_for_good, release_signals

__all__ = ["StopSignals"]


class StopSignals:
    """Handlers for SIGINT, SIGTERM and SIGHUP, which stop the command in an orderly way.

    They are set at construction, before the command makes a folder or a server. Therefore the
    command can remove these after a signal. SIGHUP stays ignored if it is, as below nohup. Only
    the main thread can construct it.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        """The first signal that arrived, or None."""
        self._stop: Callable[[], None] | None = None
        for number in ENDING_SIGNALS:
            # nohup starts programs with SIGHUP ignored, so that they survive the end of the
            # terminal.
            if not is_ignored_for_good(number):
                signal.signal(number, self._receive)
        release_signals()

    def stop_by(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when a signal arrives, or now if one has arrived. It must not block."""
        # Set before `received` is read: a signal between the two steps then stops the server twice,
        # which does no harm. The other order could miss the signal.
        self._stop = stop
        if self.received is not None:
            stop()

    def _receive(self, number: int, _frame: object) -> None:
        """Note the first signal and stop the command; a later one stops it again, without harm."""
        # No lock and no print here: the handler may interrupt code that holds the same lock.
        self.received = self.received or number
        if self._stop is not None:
            self._stop()
