"""Time as a scenario sees it: virtual, moved by the scenario, or real and waited for."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import freezegun
import freezegun.api
from freezegun.config import DEFAULT_IGNORE_LIST

__all__ = ["RealTime", "StoryTime", "VirtualTime"]

_START = datetime.datetime(2031, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)

# These live by real time: servers and connection pools must not see an hour pass in no time,
# pytest and Hypothesis measure themselves.
_REAL_TIME_MODULES = [
    *DEFAULT_IGNORE_LIST,
    "_pytest",
    "asyncio",
    "cheroot",
    "hypothesis",
    "pluggy",
    "selectors",
    "socketserver",
    "xdist",
]


class StoryTime(Protocol):
    """What a stage needs of time; a broker takes it as its clock."""

    is_virtual: bool

    def now(self) -> float:
        """Unix seconds."""

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""


class VirtualTime:
    """Time that stands still until a scenario moves it; made by freezegun.

    Client and broker read the same clock, so verdicts do not depend on the machine's speed.
    The servers' own timers and the event loops go on in real time.
    """

    is_virtual = True

    def __init__(self) -> None:
        self._now = _START
        self._move: Callable[[datetime.datetime], None] | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[VirtualTime]:
        """Freeze time for as long as the context lasts. Reentrant: the outermost one counts."""
        if self._move is not None:
            yield self
            return
        freezer = freezegun.freeze_time(self._now, ignore=_REAL_TIME_MODULES, real_asyncio=True)
        with _only_direct_callers_are_exempt(), freezer as factory:
            self._move = factory.move_to
            try:
                yield self
            finally:
                self._move = None

    def now(self) -> float:
        """Unix seconds by the virtual clock."""
        with self._lock:
            return self._now.timestamp()

    def advance(self, seconds: float) -> None:
        """Move the clock by that many seconds."""
        with self._lock:
            self._now += datetime.timedelta(seconds=seconds)
            if self._move is not None:
                self._move(self._now)


class RealTime:
    """Time as it is, for clients whose clock cannot be moved: to advance is to wait."""

    is_virtual = False

    def now(self) -> float:
        """Unix seconds by the machine's clock."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Wait for that many seconds."""
        time.sleep(seconds)


@contextlib.contextmanager
def _only_direct_callers_are_exempt() -> Iterator[None]:
    # By default freezegun exempts whatever runs within five frames of an exempt module, which
    # gives real time to any client thread, since every thread starts inside `threading`.
    before = freezegun.api.call_stack_inspection_limit
    freezegun.api.call_stack_inspection_limit = 1
    try:
        yield
    finally:
        freezegun.api.call_stack_inspection_limit = before
