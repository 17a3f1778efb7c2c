"""What this process waits for, and whether anything in it can end the wait.

The judging process asks by a signal, whose handler runs in the main thread and sees the frames of
all threads. A thread for that purpose would be in the client's process all the time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextlib
import math
import os
import selectors
import signal
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

# imported by name, as below: a client may replace it in its module
from json import dumps
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from mockbroker_contract.drivers.host.channel import Channel
from mockbroker_contract.drivers.observed_wait import LOOK_SIGNAL

__all__ = ["WaitReporter"]

# Looked up at the import: a client may replace these functions, and its own waits differ then.
_socket, _getpid = socket.socket, os.getpid
_TIMEVAL = struct.Struct("@ll")
_READS: dict[CodeType, str] = {
    socket.SocketIO.readinto.__code__: "_sock",
    ssl.SSLSocket.read.__code__: "",
    ssl.SSLSocket.do_handshake.__code__: "",
}
"""Functions that block in a socket, and the attribute of ``self`` that is the socket."""
# httpcore, by which httpx sends its requests, calls the socket by itself.
_READ_OF_HTTPCORE = ("httpcore._backends.sync", "read")
_SOCKET_OF_HTTPCORE = "_sock"
# Each system has some of these classes.
_SELECTORS = (
    getattr(selectors, name, selectors.SelectSelector)
    for name in ("EpollSelector", "KqueueSelector", "PollSelector", "SelectSelector")
)
_SELECTS = {selector.select.__code__ for selector in _SELECTORS}
# The one function that knows the next timer of a loop; it has been there since Python 3.4.
_RUN_ONCE: CodeType = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # noqa: SLF001
_IDLE_WORKER: CodeType = concurrent.futures.thread._worker.__code__  # noqa: SLF001 - as above
_WAIT, _JOIN = threading.Condition.wait.__code__, threading.Thread.join.__code__
# The innermost frame of a join before Python 3.13.
_JOIN_INSIDE = "_wait_for_tstate_lock"


@dataclass(frozen=True, slots=True)
class _ThreadWait:
    """A thread's wait: for what, and for how many seconds; empty for another thread."""

    for_what: str = ""
    seconds: float = math.inf


class WaitReporter:
    """Handler of the signal; it answers with a line on the channel.

    Made in the main thread of the process, once.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._process = _getpid()
        self._is_operating = False
        signal.signal(LOOK_SIGNAL, self._report)

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Answer signals while the context lasts."""
        self._is_operating = True
        try:
            yield
        finally:
            # At no other time: the line of an answer must not be cut by another one.
            self._is_operating = False

    def _report(self, _signal: int, interrupted: FrameType | None) -> None:
        if not self._is_operating or _getpid() != self._process:
            return
        # It runs in the middle of the client's own code, which must not meet an error of the host.
        with contextlib.suppress(Exception):
            self._channel.write_line(dumps({"waits": _current_wait(interrupted)}).encode())


def _current_wait(interrupted: FrameType | None) -> dict[str, Any] | None:
    """Return what the process waits for, as JSON; None unless that is certain.

    ``for`` is a socket or an event loop. ``seconds`` counts from the beginning of the wait, and is
    None for a wait without a limit. ``positions`` are equal in two looks at one wait.

    Certain means: each thread waits for another one, for a socket or for the timers of its event
    loop. No alarm is set, no child process runs, and Python knows every thread.
    ``interrupted`` is the frame of the main thread, in whose signal handler this runs.
    """
    if any(signal.getitimer(signal.ITIMER_REAL)) or _has_unknown_company():
        return None
    frames = {**sys._current_frames(), threading.get_ident(): interrupted}  # noqa: SLF001 - documented for debugging
    waits = [_wait_in(frame) for frame in frames.values() if frame is not None]
    certain = [wait for wait in waits if wait is not None]
    outward = sorted((w for w in certain if w.for_what), key=lambda wait: wait.seconds)
    if len(certain) < len(frames) or not outward:
        return None
    seconds = outward[0].seconds
    return {
        "for": outward[0].for_what,
        "seconds": None if math.isinf(seconds) else seconds,
        "positions": sorted([i, f.f_lasti] for i, f in frames.items() if f is not None),
    }


def _wait_in(frame: FrameType) -> _ThreadWait | None:
    """Return what a thread waits for, by its innermost frame; None if that is unknown."""
    code, back = frame.f_code, frame.f_back
    if code is _IDLE_WORKER:
        return _ThreadWait()
    if back is not None and back.f_code is _JOIN and code.co_name == _JOIN_INSIDE:
        frame, code = back, _JOIN
    if code in (_WAIT, _JOIN):
        # How long it has waited is unknown, so only a wait without a limit is certain.
        return _ThreadWait() if frame.f_locals["timeout"] is None else None
    if code in _SELECTS and back is not None and back.f_code is _RUN_ONCE:
        seconds = back.f_locals["timeout"]
        return _ThreadWait("event loop", math.inf if seconds is None else float(seconds))
    if code in _READS:
        subject, attribute = frame.f_locals["self"], _READS[code]
        return _socket_wait(getattr(subject, attribute) if attribute else subject)
    if (frame.f_globals.get("__name__"), code.co_name) == _READ_OF_HTTPCORE:
        return _socket_wait(getattr(frame.f_locals["self"], _SOCKET_OF_HTTPCORE))
    return None


def _socket_wait(waiting: Any) -> _ThreadWait | None:
    if not isinstance(waiting, _socket) or waiting.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    limit = waiting.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.size)
    # A limit in the kernel, which Python's own timeout does not show.
    if any(_TIMEVAL.unpack(limit)):
        return None
    seconds = waiting.gettimeout()
    return _ThreadWait("socket", math.inf if seconds is None else seconds)


def _has_unknown_company() -> bool:
    """Return whether this process has children, or threads that Python does not know."""
    threads = list(Path("/proc/self/task").iterdir())
    if len(threads) != len(sys._current_frames()):  # noqa: SLF001 - as above
        return True
    try:
        # It finds a child of any thread, and leaves an ended one to the client.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
