"""Signals that ask a command to end, held back until the command can answer them.

Loading a command takes Python so long that a signal may arrive before its handler exists. The
default action of the system would then end the process without a report.
"""

from __future__ import annotations

import signal

__all__ = [
    "ENDING_SIGNALS",
    "hold_signals",
    "is_ignored_for_good",
    "release_signals",
]

ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask for an end; Windows has no SIGHUP."""


def is_ignored_for_good(number: int) -> bool:
    """Return whether a command must not handle this signal.

    That is SIGHUP if the process started with it ignored, as nohup starts programs.
    """
    is_hangup = number == getattr(signal, "SIGHUP", None)
    return is_hangup and signal.getsignal(number) is signal.SIG_IGN


def hold_signals() -> None:
    """Block the ending signals in this thread, and in the threads that it starts from now on.

    The kernel delivers a blocked signal at `release_signals`. Does nothing on systems without
    signal masks, such as Windows.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)


def release_signals() -> None:
    """Unblock the ending signals in this thread; a signal that arrived earlier comes at once."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
