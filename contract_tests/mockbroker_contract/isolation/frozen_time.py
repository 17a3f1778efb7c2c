"""Frozen time in the host: freezegun reads a clock that the caller provides.

freezegun has no public way to read a clock. So this module replaces names in `freezegun.api` that
are not documented. The requirement in pyproject.toml has an upper bound for this reason, and a test
checks each assumption.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

import freezegun
import freezegun.api

from mockbroker_contract.isolation.real_time_modules import REAL_TIME_MODULES

__all__ = ["FrozenTime"]

_REAL_LOCALTIME = time.localtime
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - freezegun's own times are naive
_MICROSECONDS = 10**6
_UPTIME_MICROSECONDS = 900 * _MICROSECONDS
_ORIGINAL_MONOTONIC = (freezegun.api._get_fake_monotonic, freezegun.api._get_fake_monotonic_ns)  # noqa: SLF001
_CALLER_ONLY = 1


class FrozenTime:
    """Switch of this process between a given clock and the machine's clock.

    ``microseconds`` returns the time of the given clock in microseconds since 1970. ``elapsed``
    returns the microseconds of a clock that is never set, from any start; by default the same
    clock. Client threads call both at each reading of the time, so they must be safe to use from
    many threads.

    Monotonic clocks start at a quarter of an hour in each process. So a client that compares one
    with the time of day, or takes its value over from another process, is wrong as it would be on
    another machine.
    """

    def __init__(
        self, microseconds: Callable[[], int], elapsed: Callable[[], int] | None = None
    ) -> None:
        self._microseconds = microseconds
        self._elapsed = microseconds if elapsed is None else elapsed
        self._freezer: Any = None
        self._inspection_limit = 0
        self._original_now: Any = None
        """FakeDatetime.now of freezegun while it is replaced, otherwise None."""

    @property
    def is_frozen(self) -> bool:
        """Whether the process uses the given clock."""
        return self._freezer is not None

    def freeze(self) -> None:
        """Use the given clock from now on, also in modules that are imported later."""
        if self._freezer is not None:
            return
        # With asyncio's real clock, because event loops wait for real sockets.
        freezer = freezegun.freeze_time(
            self._now(), ignore=list(REAL_TIME_MODULES), real_asyncio=True
        )
        # By default freezegun exempts whatever runs within five frames of an exempt module. That
        # gives real time to any client thread, since every thread starts inside `threading`.
        self._inspection_limit = freezegun.api.call_stack_inspection_limit
        freezegun.api.call_stack_inspection_limit = _CALLER_ONLY
        # freezegun's monotonic clocks show the seconds since 1970. They look these functions up at
        # each reading.
        began = self._elapsed() - _UPTIME_MICROSECONDS
        api: Any = freezegun.api
        api._get_fake_monotonic = lambda: (self._elapsed() - began) / _MICROSECONDS  # noqa: SLF001
        api._get_fake_monotonic_ns = lambda: (self._elapsed() - began) * 1000  # noqa: SLF001
        freezer.start()
        # freezegun calls the last factory at each reading of the time. The given clock moves while
        # freezegun runs, so it must be asked each time.
        freezegun.api.freeze_factories[-1] = self._now  # type: ignore[call-overload]
        self._freezer = freezer

    def thaw(self) -> None:
        """Use the machine's clock from now on."""
        if self._freezer is not None:
            self._freezer.stop()
            self._freezer = None
            freezegun.api.call_stack_inspection_limit = self._inspection_limit
            api: Any = freezegun.api
            api._get_fake_monotonic, api._get_fake_monotonic_ns = _ORIGINAL_MONOTONIC  # noqa: SLF001

    def use_local_zone(self) -> None:
        """Apply the offset of the process's time zone to local times from now on."""
        if self._original_now is None:
            fake: Any = freezegun.api.FakeDatetime
            self._original_now = fake.__dict__["now"]
            # Not a class method: before Python 3.11 one of a bound method gets no class.
            fake.now = staticmethod(self._now_in_zone)

    def use_utc(self) -> None:
        """Apply no offset from now on."""
        if self._original_now is not None:
            fake: Any = freezegun.api.FakeDatetime
            fake.now, self._original_now = self._original_now, None
        if freezegun.api.tz_offsets:
            freezegun.api.tz_offsets[-1] = datetime.timedelta(0)

    def _now(self) -> datetime.datetime:
        microseconds = self._microseconds()
        if self._original_now is not None and freezegun.api.tz_offsets:
            # The offset changes with daylight saving time, as the clock moves.
            local = _REAL_LOCALTIME(microseconds // _MICROSECONDS)
            freezegun.api.tz_offsets[-1] = datetime.timedelta(seconds=local.tm_gmtoff)
        return _EPOCH + datetime.timedelta(microseconds=microseconds)

    def _now_in_zone(self, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        # freezegun adds the local offset to `datetime.now(tz)` as well, which must not have it.
        fake: Any = freezegun.api.FakeDatetime
        original = self._original_now or fake.__dict__["now"]  # a thread may call after use_utc
        local: datetime.datetime = original.__func__(fake)
        if tz is None:
            return local
        utc = local - fake._tz_offset()  # noqa: SLF001 - freezegun has no public name for it
        return tz.fromutc(utc.replace(tzinfo=tz))
