"""Ending the answers that wait: those that are delayed, stalled or dripping."""

from __future__ import annotations

import threading

__all__ = ["ReleaseSwitch"]


class ReleaseSwitch:
    """An event for the answers that are under way, replaced when they are released.

    Every answer takes ``event`` when its request arrives and waits on it. Safe to use from many
    threads.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()

    def release(self) -> None:
        """End every wait at once; later answers wait again."""
        with self._lock:
            self.event.set()
            self.event = threading.Event()

    def close(self) -> None:
        """End every wait at once, also those of later answers, until `open` is called."""
        with self._lock:
            self.event.set()

    def open(self) -> None:
        """Let later answers wait; those that wait now go on waiting."""
        with self._lock:
            if self.event.is_set():
                self.event = threading.Event()
