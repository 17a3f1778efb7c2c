"""Time as a scenario sees it: virtual, moved by the scenario, or real and waited for."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import freezegun
import freezegun.api
from freezegun.config import DEFAULT_IGNORE_LIST

from contract_tests.client_thread import in_client_thread

__all__ = ["MovedTime", "RealTime", "StoryTime", "VirtualTime"]

_START = datetime.datetime(2031, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
_LAST_MOMENT = datetime.datetime(9000, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
_NAP_SECONDS = 0.01
_LONGEST_LEAP = 86400.0
_CHICAGO = "CST6CDT,M3.2.0,M11.1.0"
_CLOCKS_GO_BACK_HOUR_UTC = 7

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
    """Time that stands still until a scenario moves it, or the client sleeps; made by freezegun.

    Client and broker read the same clock, so verdicts do not depend on the machine's speed.
    The servers' own timers and the event loops go on in real time.
    """

    kind = "virtual"
    is_virtual = moves_during_use = True

    def __init__(self) -> None:
        self._now, self._timestamp = _START, _START.timestamp()
        self._in_zone = False
        self._move: Callable[[datetime.datetime], None] | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[VirtualTime]:
        """Freeze time for as long as the context lasts. Reentrant: the outermost one counts."""
        if self._move is not None:
            yield self
            return
        freezer = freezegun.freeze_time(self._now, ignore=_REAL_TIME_MODULES, real_asyncio=True)
        with _only_direct_callers_are_exempt(), _sleep_replaced(self._sleep), freezer as factory:
            self._move = factory.move_to
            try:
                yield self
            finally:
                self._move = None

    def now(self) -> float:
        """Unix seconds by the virtual clock."""
        return self._timestamp

    def advance(self, seconds: float) -> None:
        """Move the clock by that many seconds."""
        with self._lock:
            self._set(self._now + datetime.timedelta(seconds=seconds))

    def advance_to(self, moment: float) -> None:
        """Move the clock on to a moment in Unix seconds, unless it is past or beyond calendars."""
        with self._lock:
            if self._timestamp < moment < _LAST_MOMENT:
                self._set(datetime.datetime.fromtimestamp(moment, datetime.timezone.utc))

    def _set(self, now: datetime.datetime) -> None:
        self._now, self._timestamp = now, now.timestamp()
        if self._move is not None:
            self._move(now)
            if self._in_zone:
                _set_offset(_REAL_LOCALTIME(now.timestamp()).tm_gmtoff)

    @contextlib.contextmanager
    def before_the_clocks_go_back(self, seconds: float) -> Iterator[None]:
        """Be in Chicago so many seconds before the clocks go back in autumn.

        There local time is hours behind UTC, and an hour of it comes twice. Where the platform
        cannot change its time zone, local time stays UTC.
        """
        with _environment_zone(_CHICAGO), _aware_times_left_alone():
            self._in_zone = True
            self.advance_to(_clocks_go_back_after(self.now() + seconds) - seconds)
            try:
                yield
            finally:
                self._in_zone = False
                _set_offset(0)

    def _sleep(self, seconds: float) -> None:
        """A client that sleeps moves the clock; nobody waits, but a loop of naps is no rush."""
        _REAL_SLEEP(min(seconds, _NAP_SECONDS))
        if seconds > _NAP_SECONDS:
            self.advance(seconds)


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
        _REAL_SLEEP(seconds)

    def advance_to(self, moment: float) -> None:
        """Nothing: to wait for it might take for ever."""


_REAL_SLEEP = time.sleep
_REAL_LOCALTIME = time.localtime


@contextlib.contextmanager
def _sleep_replaced(story_sleep: Callable[[float], None]) -> Iterator[None]:
    """Let a client under test sleep by the story's time; everybody else sleeps as ever."""

    def sleep(seconds: float, /) -> None:
        if in_client_thread() and seconds > 0:
            story_sleep(seconds)
        else:
            _REAL_SLEEP(seconds)

    _replace_in_modules(_REAL_SLEEP, sleep)
    try:
        yield
    finally:
        _replace_in_modules(sleep, _REAL_SLEEP)


def _replace_in_modules(old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("sleep") is old and names.get("__name__") != __name__:
            names["sleep"] = new


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


def _set_offset(seconds: int) -> None:
    if freezegun.api.tz_offsets:
        freezegun.api.tz_offsets[-1] = datetime.timedelta(seconds=seconds)


@contextlib.contextmanager
def _aware_times_left_alone() -> Iterator[None]:
    # freezegun adds the local offset to `datetime.now(tz)` as well, which has none.
    fake: Any = freezegun.api.FakeDatetime
    before = fake.__dict__["now"]

    def now(_: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        utc = before.__func__(fake) - fake._tz_offset()  # noqa: SLF001 - where the offset is kept
        return utc + fake._tz_offset() if tz is None else tz.fromutc(utc.replace(tzinfo=tz))  # noqa: SLF001

    fake.now = classmethod(now)
    try:
        yield
    finally:
        fake.now = before


@contextlib.contextmanager
def _environment_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    _set_environment_zone(name)
    try:
        yield
    finally:
        _set_environment_zone(before)


def _set_environment_zone(name: str | None) -> None:
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    if hasattr(time, "tzset"):
        time.tzset()


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
