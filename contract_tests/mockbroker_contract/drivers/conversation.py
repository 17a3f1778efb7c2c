"""Asking a program one thing at a time, each with a deadline in real time."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from mockbroker.broker.clock import real_seconds

__all__ = ["Conversation", "ProgramDied", "ProgramSilent"]

_MOST_LINES = 1000
_LOOK_AGAIN_SECONDS = 0.2


class ProgramDied(Exception):  # noqa: N818 - an event
    """The program ended although it was not told to; ``how``, in words: its status or signal."""

    def __init__(self, message: str, how: str = "") -> None:
        self.how = how
        super().__init__(message)


class ProgramSilent(Exception):  # noqa: N818 - an event
    """The program did not answer in time."""


class _CutOff:
    """In the place of a line: what is asked now counts as never answered."""


class Conversation(ABC):
    """Requests and the lines that answer them. Safe to use from many threads, which take turns.

    ``is_paused`` says whether a human is at work in a debugger; deadlines wait for that.
    """

    def __init__(self, is_paused: Callable[[], bool] = lambda: False) -> None:
        self.numbers = itertools.count(1)
        self.turn = threading.RLock()
        self._is_paused = is_paused
        self._lines: queue.Queue[bytes | _CutOff | None] = queue.Queue(_MOST_LINES)

    @abstractmethod
    def send(self, line: bytes, op: str) -> None:
        """Send a request. Raises ProgramDied."""

    @abstractmethod
    def how_it_ended(self, op: str) -> str:
        """In words, how the program ended when it was asked for that."""

    def put(self, line: bytes | None) -> None:
        """Take over a line that came, or None once no more will come; from the reading thread."""
        with contextlib.suppress(queue.Full):  # a flood is a fault long before
            self._lines.put_nowait(line)

    def early_line(self) -> bytes | None:
        """A line that came before anything was asked, if one did."""
        with contextlib.suppress(queue.Empty):
            line = self._lines.get_nowait()
            if line is None:
                self._lines.put(None)
            return line if isinstance(line, bytes) else None
        return None

    def next_line(self, op: str, deadline: float) -> bytes:
        """The next line, if it comes within ``deadline`` seconds.

        Raises ProgramSilent if it does not, or what was asked was cut off; ProgramDied.
        """
        until = real_seconds() + deadline
        while True:
            left = until - real_seconds()
            if left <= 0 and not self._is_paused():
                break
            try:
                line = self._lines.get(timeout=max(left, _LOOK_AGAIN_SECONDS))
            except queue.Empty:
                continue
            if isinstance(line, _CutOff):
                break
            if line is None:
                self._lines.put(None)
                raise ProgramDied(self.how_it_ended(op))
            return line
        raise ProgramSilent(f"no answer to {op} within {deadline:g} s")

    def cut_off(self) -> None:
        """Take what it is doing now for something that never ends; from any thread."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(_CutOff())

    def forget_lines(self) -> None:
        """Forget what a program that has ended has said."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()
