"""Signals that ask a command to end, held back until the command can answer them.

Python takes long enough to load a command that a signal may come in the meantime. It would end
the process as the system has it: without a report, and with an exit status that says nothing.
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
    """Whether a command must not handle this signal: SIGHUP that is ignored, as below nohup."""
    is_hangup = number == getattr(signal, "SIGHUP", None)
    return is_hangup and signal.getsignal(number) is signal.SIG_IGN


def hold_signals() -> None:
    """Have this thread, and those that it starts from now on, receive none of these signals.

    One that comes is delivered at `release_signals`. Nothing happens where a thread has no mask
    of signals, as on Windows.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)


def release_signals() -> None:
    """Have this thread receive them again: at once, if one has come."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
