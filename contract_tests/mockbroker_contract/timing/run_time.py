"""Time as a scenario sees it: virtual, moved by the scenario, or real and waited for."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["START_SECONDS", "MovedTime", "RealTime", "RunTime", "VirtualTime"]

_START = datetime.datetime(2031, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
START_SECONDS = int(_START.timestamp())
"""When virtual time begins, in Unix seconds."""

_LAST_MOMENT = datetime.datetime(9000, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
_LONGEST_LEAP = 86400.0
_CHICAGO = "CST6CDT,M3.2.0,M11.1.0"
_CLOCKS_GO_BACK_HOUR_UTC = 7


class RunTime(Protocol):
    """What a session needs of time; a broker takes it as its clock."""

    @property
    def kind(self) -> str:
        """In a word, for the report: ``virtual``, ``driver``, ``libfaketime`` or ``real``."""

    @property
    def is_virtual(self) -> bool:
        """Whether it can be moved, so that nobody waits for it to pass."""

    @property
    def moves_during_use(self) -> bool:
        """Whether it can be moved while the client is being used."""

    def frozen(self) -> AbstractContextManager[object]:
        """Around everything that lives by this time."""

    def now(self) -> float:
        """Unix seconds."""

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""

    def advance_to(self, moment: float) -> None:
        """Let it be that moment, in Unix seconds, if that is yet to come and nobody must wait."""


class VirtualTime:
    """Time that stands still until a scenario moves it, or the client sleeps.

    Client and broker read the same clock, in memory that the client's host shares, so verdicts
    do not depend on the machine's speed. The servers' own timers and the event loops go on in
    real time. ``begin`` has the client live by it; ``live_in_zone`` changes the client's local
    time zone, None being UTC.
    """

    kind = "virtual"
    is_virtual = moves_during_use = True

    def __init__(
        self,
        clock: SharedClock,
        begin: Callable[[], None],
        live_in_zone: Callable[[str | None], None],
    ) -> None:
        self._clock = clock
        self._begin = begin
        self._live_in_zone = live_in_zone
        self._lock = threading.Lock()

    def frozen(self) -> AbstractContextManager[object]:
        """From now on the client lives by it."""
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Unix seconds by the virtual clock."""
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        """Move the clock by that many seconds."""
        self._clock.advance(seconds)

    def advance_to(self, moment: float) -> None:
        """Move the clock on to a moment in Unix seconds, unless it is past or beyond calendars."""
        with self._lock:
            now = self._clock.now()
            if now < moment < _LAST_MOMENT:
                self._clock.advance(moment - now)

    @contextlib.contextmanager
    def before_the_clocks_go_back(self, seconds: float) -> Iterator[None]:
        """Be in Chicago so many seconds before the clocks go back in autumn.

        There local time is hours behind UTC, and an hour of it comes twice. Where the platform
        cannot change its time zone, local time stays UTC.
        """
        self._live_in_zone(_CHICAGO)
        try:
            self.advance_to(_clocks_go_back_after(self.now() + seconds) - seconds)
            yield
        finally:
            self._live_in_zone(None)


class MovedTime:
    """The machine's time, and by how much that of the program which drives the client was moved.

    ``move`` moves the program's time on by so many seconds; ``begin`` has the program live by it.
    """

    is_virtual = True
    moves_during_use = False

    def __init__(self, kind: str, move: Callable[[float], None], begin: Callable[[], None]) -> None:
        self.kind = kind
        self._move = move
        self._begin = begin
        self._moved = 0.0

    def frozen(self) -> AbstractContextManager[object]:
        """From now on the program lives by it; it goes on."""
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Unix seconds by the program's clock."""
        return time.time() + self._moved

    def advance(self, seconds: float) -> None:
        """Move the program's clock by that many seconds."""
        self._moved += seconds
        self._move(seconds)

    def advance_to(self, moment: float) -> None:
        """Move the clock on to a moment in Unix seconds, unless it is past, or far away.

        A program's certificates, unlike a story's, may expire.
        """
        if self.now() < moment < self.now() + _LONGEST_LEAP:
            self.advance(moment - self.now())


class RealTime:
    """Time as it is, for clients whose clock cannot be moved: to advance is to wait.

    ``begin`` has the client live by it.
    """

    kind = "real"
    is_virtual = moves_during_use = False

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin

    def frozen(self) -> AbstractContextManager[object]:
        """From now on the client lives by it; it goes on."""
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Unix seconds by the machine's clock."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Wait for that many seconds."""
        time.sleep(seconds)

    def advance_to(self, moment: float) -> None:
        """Nothing: to wait for it might take for ever."""


def _clocks_go_back_after(moment: float) -> float:
    """The first time, in Unix seconds, that the clocks go back in Chicago after a moment."""
    year = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).year
    return next(t for t in map(_clocks_go_back_in, (year, year + 1)) if t > moment)


def _clocks_go_back_in(year: int) -> float:
    november = datetime.datetime(
        year, 11, 1, _CLOCKS_GO_BACK_HOUR_UTC, tzinfo=datetime.timezone.utc
    )
    first_sunday = november + datetime.timedelta(days=6 - november.weekday())
    return first_sunday.timestamp()
