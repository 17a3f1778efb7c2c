"""Ending the answers that wait: those that are delayed, stalled or dripping.

Delays use real seconds. Without a release, a test that resets its broker would wait for a fault of
an earlier test.
"""

from __future__ import annotations

import threading

__all__ = ["ReleaseSwitch"]


class ReleaseSwitch:
    """An event for the answers that are under way, replaced when they are released.

    Every answer takes ``event`` when its request arrives and waits on it. Thread-safe.
    """

    def __init__(self) -> None:
        # Read without the lock: an answer waits on the event that was current at its arrival.
        self.event = threading.Event()
        self._lock = threading.Lock()

    def release(self) -> None:
        """End every wait at once; later answers wait again."""
        with self._lock:
            # A new event instead of clearing the old one: a thread that is slow to wake up would
            # find the event cleared and wait again.
            self.event.set()
            self.event = threading.Event()

    def close(self) -> None:
        """End every wait at once, also those of later answers, until `open` is called."""
        with self._lock:
            self.event.set()

    def open(self) -> None:
        """Let later answers wait again after `close`; answers that wait now are not affected."""
        with self._lock:
            # Only a closed switch gets a new event: the answers that wait hold the present one,
            # and a later `release` must still reach them.
            if self.event.is_set():
                self.event = threading.Event()
