"""The client's time: the shared clock replaces the machine's clock, by freezegun."""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from typing import Any

import freezegun
import freezegun.api
from freezegun.config import DEFAULT_IGNORE_LIST

from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["HostClock"]

_REAL_SLEEP = time.sleep
_REAL_LOCALTIME = time.localtime
_REAL_DATETIME = datetime.datetime
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - freezegun's own times are naive
_PAUSE_SECONDS = 0.01
_LONGEST_SLEEP = 1e9

# Modules that measure their own timeouts see real time: frozen time would make the timeouts
# endless. Event loops and pools wait for sockets and processes, which are real.
_REAL_TIME_MODULES = [
    *DEFAULT_IGNORE_LIST,
    "anyio",
    "asyncio",
    "concurrent",
    "mockbroker_contract.drivers.host",
    "eventlet",
    "gevent",
    "selectors",
    "socketserver",
    "subprocess",
    "trio",
    "uvloop",
]


class HostClock:
    """Switch of this process between the shared clock and the machine's clock.

    ``operating`` has the ids of the threads in which the client is being used: when one of them
    sleeps, the shared clock moves at once. Other threads of the client sleep in real time.
    """

    def __init__(self, shared: SharedClock) -> None:
        self._shared = shared
        self._freezer: Any = None
        self._in_zone = False
        self._original_sleep: Any = _REAL_SLEEP
        self.operating: set[int] = set()

    def freeze(self) -> None:
        """Use the shared clock from now on, also in modules that are imported later."""
        if self._freezer is not None:
            return
        freezer = freezegun.freeze_time(self._time(), ignore=_REAL_TIME_MODULES, real_asyncio=True)
        # By default freezegun exempts whatever runs within five frames of an exempt module, which
        # gives real time to any client thread, since every thread starts inside `threading`.
        freezegun.api.call_stack_inspection_limit = 1
        freezer.start()
        # freezegun calls the last factory at each reading of the time, so that the shared clock is
        # read.
        freezegun.api.freeze_factories[-1] = self._time  # type: ignore[call-overload]
        self._freezer = freezer
        self._replace_sleep()

    def thaw(self) -> None:
        """Use the machine's clock from now on."""
        if self._freezer is not None:
            self._freezer.stop()
            self._freezer = None
            _replace_in_modules([self._sleep], self._original_sleep)

    def _time(self) -> datetime.datetime:
        if self._in_zone and freezegun.api.tz_offsets:
            local = _REAL_LOCALTIME(self._shared.now())
            freezegun.api.tz_offsets[-1] = datetime.timedelta(seconds=local.tm_gmtoff)
        return _EPOCH + datetime.timedelta(microseconds=self._shared.microseconds)

    # -- sleep ---------------------------------------------------------------------------------

    def _replace_sleep(self) -> None:
        # A client may patch time.sleep (gevent): its own sleep lets its green threads run.
        self._original_sleep = time.sleep
        _replace_in_modules([_REAL_SLEEP, self._original_sleep], self._sleep)
        time.sleep = self._sleep  # type: ignore[assignment]

    def _sleep(self, seconds: float, /) -> None:
        """Move the clock instead of waiting; sleep briefly so that other threads can run."""
        if not self._moves_clock(seconds):
            self._original_sleep(seconds)
            return
        self._original_sleep(min(seconds, _PAUSE_SECONDS))
        if seconds > _PAUSE_SECONDS:
            self._shared.advance(seconds)

    def _moves_clock(self, seconds: Any) -> bool:
        # Modules that see real time must also sleep in real time, so the caller of sleep() counts.
        caller = str(sys._getframe(2).f_globals.get("__name__", ""))  # noqa: SLF001 - documented for this use
        return (
            threading.get_ident() in self.operating
            and isinstance(seconds, (int, float))
            and 0 < seconds < _LONGEST_SLEEP
            and not caller.startswith(tuple(_REAL_TIME_MODULES))
        )

    # -- time zone -----------------------------------------------------------------------------

    def set_zone(self, name: str | None) -> None:
        """Change the local time zone, as the variable TZ names it; None restores UTC."""
        if name is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = name
        if hasattr(time, "tzset"):
            time.tzset()
        fake: Any = freezegun.api.FakeDatetime
        self._in_zone = name is not None
        if name is not None and "now" not in _ORIGINAL:
            _ORIGINAL["now"] = fake.__dict__["now"]
            fake.now = classmethod(_now)
        elif name is None and "now" in _ORIGINAL:
            fake.now = _ORIGINAL.pop("now")
        if name is None and freezegun.api.tz_offsets:
            freezegun.api.tz_offsets[-1] = datetime.timedelta(0)


_ORIGINAL: dict[str, Any] = {}


def _now(_: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
    # freezegun adds the local offset to `datetime.now(tz)` as well, which must not have it.
    fake: Any = freezegun.api.FakeDatetime
    utc = _ORIGINAL["now"].__func__(fake) - fake._tz_offset()  # noqa: SLF001 - where the offset is kept
    if tz is None:
        local: datetime.datetime = utc + fake._tz_offset()  # noqa: SLF001
        return local
    return tz.fromutc(utc.replace(tzinfo=tz))


def _replace_in_modules(olds: list[Any], new: Any) -> None:
    # `from time import sleep` binds the function in the importing module, where a replacement of
    # time.sleep has no effect.
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        name = str(names.get("__name__", ""))
        if not name.startswith(tuple(_REAL_TIME_MODULES)) and any(
            names.get("sleep") is old for old in olds
        ):
            names["sleep"] = new
