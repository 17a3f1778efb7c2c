"""Conversation with a program, one request at a time, each with a deadline in real time."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from abc import ABC, abstractmethod

from mockbroker.broker.clock import real_seconds
from mockbroker_contract.drivers.observed_wait import ObservedWait

__all__ = ["Conversation", "ProgramDied", "ProgramSilent"]

# A request has one answer, so the queue normally holds one line. The bound keeps a program that
# writes without end from filling the memory of the judging process.
_MAX_LINES = 1000


class ProgramDied(Exception):  # noqa: N818 - an event
    """The program ended unexpectedly; ``how`` is its exit status or signal, in words.

    It says nothing about the cause: the client, the driver or the user may have ended it.
    """

    def __init__(self, message: str, how: str = "") -> None:
        self.how = how
        super().__init__(message)


class ProgramSilent(Exception):  # noqa: N818 - an event
    """The program did not answer in time.

    The caller must end the program, or its late answer would be read as that to the next request.
    ``wait`` is what the client was seen to wait for, if that ended the time early.
    """

    wait: ObservedWait | None = None


class _CutOff:
    """Marker in the queue of lines: the current request counts as unanswered.

    It travels through the queue because the waiting thread blocks there, and no other means would
    wake it before its deadline.
    """


class Conversation(ABC):
    """Requests and the lines that answer them. Safe to use from many threads, one at a time.

    The deadlines are in real seconds even if the client's clock is virtual: a program that hangs
    does so in real time.
    """

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        # Reentrant, because a caller may hold the turn over several requests that belong together.
        self.turn = threading.RLock()
        self._lines: queue.Queue[bytes | _CutOff | None] = queue.Queue(_MAX_LINES)

    @abstractmethod
    def send(self, line: bytes, op: str) -> None:
        """Send a request. Raises ProgramDied."""

    @abstractmethod
    def how_it_ended(self, op: str) -> str:
        """Return, in words, how the program ended during that operation."""

    def put(self, line: bytes | None) -> None:
        """Queue a line, or None after the last one; called by the reading thread.

        Never blocks: the reading thread must go on to empty the pipe, or the program would block at
        its next write.
        """
        # a program that fills the queue has already broken the protocol
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def early_line(self) -> bytes | None:
        """Return a line that was written before any request, or None.

        Such a line would otherwise be taken for the answer to the next request.
        """
        with contextlib.suppress(queue.Empty):
            line = self._lines.get_nowait()
            if line is None:
                # Later calls must find the end as well.
                self._lines.put(None)
            return line if isinstance(line, bytes) else None
        return None

    def next_line(self, op: str, deadline: float) -> bytes:
        """Return the next line, if it comes within ``deadline`` seconds of real time.

        Raises ProgramSilent if it does not come or `cut_off` was called, and ProgramDied.
        """
        until = real_seconds() + deadline
        while (left := until - real_seconds()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                continue
            if isinstance(line, _CutOff):
                break
            if line is None:
                # Later calls must find the end as well.
                self._lines.put(None)
                raise ProgramDied(self.how_it_ended(op))
            return line
        raise ProgramSilent(f"no answer to {op} within {deadline:g} s")

    def cut_off(self) -> None:
        """Count the current request as one that is never answered; safe from any thread.

        The program is not touched: the caller ends it once `next_line` has raised ProgramSilent.
        """
        with contextlib.suppress(queue.Full):
            # With a full queue the request fails in any case: the program broke the protocol.
            self._lines.put_nowait(_CutOff())
