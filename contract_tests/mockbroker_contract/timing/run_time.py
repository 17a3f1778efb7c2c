"""Time as a test case sees it: virtual and moved, or real and waited for."""

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

# A fixed date, so that two reports of one client are equal.
_START = datetime.datetime(2031, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
START_SECONDS = int(_START.timestamp())
"""Start of virtual time, in Unix seconds."""

# Python's dates end with the year 9999, and a client adds lifetimes to the time that it sees.
_LAST_MOMENT = datetime.datetime(9000, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
_LONGEST_LEAP = 86400.0
# The rule in full, as POSIX defines TZ: a machine without time zone data understands it as well.
_CHICAGO = "CST6CDT,M3.2.0,M11.1.0"
# 2 o'clock in summer time there, which is 5 hours behind UTC.
_CLOCKS_GO_BACK_HOUR_UTC = 7
# 2 o'clock in standard time there, which is 6 hours behind UTC.
_CLOCKS_GO_FORTH_HOUR_UTC = 8


class RunTime(Protocol):
    """Time of a session; a broker uses it as its clock.

    ``advance`` may block in real time.
    """

    @property
    def kind(self) -> str:
        """One word for the report: ``virtual``, ``driver``, ``libfaketime`` or ``real``."""

    @property
    def is_virtual(self) -> bool:
        """Whether the time can be moved, so that it passes without waiting."""

    @property
    def moves_during_use(self) -> bool:
        """Whether the time can be moved while the client is being used."""

    def frozen(self) -> AbstractContextManager[object]:
        """Apply this time to the client; return the context in which it is valid."""

    def now(self) -> float:
        """Return the time in Unix seconds."""

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""

    def advance_to(self, moment: float) -> None:
        """Move on to that moment, in Unix seconds, if it is later and needs no waiting.

        Afterwards it is past by every clock that the client has had.
        """


class VirtualTime:
    """Time that changes only when a test case moves it, or when the client sleeps.

    Client and broker read the same clock, in memory that the client's host shares. So verdicts do
    not depend on the machine's speed. The servers' own timers and the event loops use real time.
    ``begin`` switches the client to this clock; ``set_zone`` changes the client's local time zone,
    None for UTC.
    """

    kind = "virtual"
    is_virtual = moves_during_use = True

    def __init__(
        self,
        clock: SharedClock,
        begin: Callable[[], None],
        set_zone: Callable[[str | None], None],
    ) -> None:
        self._clock = clock
        self._begin = begin
        self._set_zone = set_zone
        self._most_ahead_seconds = 0.0
        self._lock = threading.Lock()

    def frozen(self) -> AbstractContextManager[object]:
        """Switch the client to the virtual clock.

        The context ends nothing: the client keeps this clock until another one is set.
        """
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Return the virtual time in Unix seconds."""
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        """Move the clock forward by that many seconds.

        The client sees it at its next reading of the clock. Its timers and event loops run in real
        time and do not fire.
        """
        self._clock.advance(seconds)

    def advance_to(self, moment: float) -> None:
        """Move on to a moment in Unix seconds, unless it is past or beyond calendars."""
        # A client whose wall clock was ahead may keep a token for as much longer.
        self._move_to(moment + self._most_ahead_seconds)

    def _move_to(self, moment: float) -> None:
        # Sessions in several threads may end at once; only one of them may move the clock.
        with self._lock:
            now = self._clock.now()
            if now < moment < _LAST_MOMENT:
                self._clock.advance(moment - now)

    @contextlib.contextmanager
    def before_the_clocks_go_back(self, seconds: float) -> Iterator[None]:
        """Set Chicago's time, that many seconds before the clocks go back in autumn.

        There local time is hours behind UTC, and one hour of it occurs twice. Local time stays UTC
        if the platform cannot change its time zone.
        """
        with self._before(_clocks_go_back_in, seconds):
            yield

    @contextlib.contextmanager
    def before_the_clocks_go_forth(self, seconds: float) -> Iterator[None]:
        """Set Chicago's time, that many seconds before the clocks go forth in spring.

        One hour of local time does not occur then.
        """
        with self._before(_clocks_go_forth_in, seconds):
            yield

    @contextlib.contextmanager
    def wall_clock_ahead(self, seconds: float) -> Iterator[None]:
        """Set the client's wall clock ahead of the broker's; behind it if ``seconds`` are below 0.

        Monotonic clocks do not change. When the context ends, the wall clock is set right.
        """
        self._most_ahead_seconds = max(self._most_ahead_seconds, seconds)
        self._clock.set_wall_clock(seconds)
        try:
            yield
        finally:
            self._clock.set_wall_clock(0)
            # A token that a client keeps by that clock must not look valid in later cases.
            self._clock.advance(max(seconds, 0))

    @contextlib.contextmanager
    def _before(self, change_in: Callable[[int], float], seconds: float) -> Iterator[None]:
        """Set Chicago's time, that many seconds before a change that happens once a year."""
        self._set_zone(_CHICAGO)
        try:
            # The next such moment: time never goes back, because tokens of earlier cases must stay
            # expired.
            self._move_to(_next(change_in, self.now() + seconds) - seconds)
            yield
        finally:
            # Later cases must not depend on the order in which clauses are judged.
            self._set_zone(None)


class MovedTime:
    """The machine's time plus the seconds by which a driver program's clock was moved.

    ``move`` moves the program's clock forward by that many seconds; ``begin`` switches the program
    to this clock.
    """

    is_virtual = True
    moves_during_use = False

    def __init__(self, kind: str, move: Callable[[float], None], begin: Callable[[], None]) -> None:
        self.kind = kind
        self._move = move
        self._begin = begin
        self._moved = 0.0

    def frozen(self) -> AbstractContextManager[object]:
        """Switch the program to the moved clock, which keeps running."""
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Return the program's time in Unix seconds."""
        return time.time() + self._moved

    def advance(self, seconds: float) -> None:
        """Move the program's clock forward by that many seconds.

        Sends a request to the driver program, or writes the file of libfaketime.
        """
        # Counted here as well, because the broker must expire tokens by the same time as the
        # client.
        self._moved += seconds
        self._move(seconds)

    def advance_to(self, moment: float) -> None:
        """Move on to a moment in Unix seconds, unless it is past, or far away.

        A large move could expire the certificates that the program verifies.
        """
        if self.now() < moment < self.now() + _LONGEST_LEAP:
            self.advance(moment - self.now())


class RealTime:
    """Real time, for clients whose clock cannot be moved: advancing means waiting.

    ``begin`` switches the client to the machine's clock.
    """

    kind = "real"
    is_virtual = moves_during_use = False

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin

    def frozen(self) -> AbstractContextManager[object]:
        """Switch the client to the machine's clock, which keeps running."""
        self._begin()
        return contextlib.nullcontext()

    def now(self) -> float:
        """Return the machine's time in Unix seconds."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Wait for that many seconds.

        Blocks the calling thread. Callers keep it to a few seconds.
        """
        time.sleep(seconds)

    def advance_to(self, moment: float) -> None:
        """Do nothing, because waiting for that moment could take years."""


def _next(change_in: Callable[[int], float], moment: float) -> float:
    """Return the first time after a moment of a change that happens once a year."""
    year = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).year
    return next(t for t in map(change_in, (year, year + 1)) if t > moment)


def _clocks_go_back_in(year: int) -> float:
    """Return when the clocks go back in Chicago in that year: the first Sunday of November."""
    return _sunday(year, 11, 1, _CLOCKS_GO_BACK_HOUR_UTC)


def _clocks_go_forth_in(year: int) -> float:
    """Return when the clocks go forth in Chicago in that year: the second Sunday of March."""
    return _sunday(year, 3, 8, _CLOCKS_GO_FORTH_HOUR_UTC)


def _sunday(year: int, month: int, day: int, hour: int) -> float:
    """Return that hour (UTC) of the first Sunday from a day on, in Unix seconds."""
    first = datetime.datetime(year, month, day, hour, tzinfo=datetime.timezone.utc)
    return (first + datetime.timedelta(days=6 - first.weekday())).timestamp()
