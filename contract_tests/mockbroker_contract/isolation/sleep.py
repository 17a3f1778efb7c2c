"""Sleep of the client: it moves a clock instead of waiting."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Container
from typing import Any

from mockbroker_contract.isolation.real_time_modules import REAL_TIME_MODULES

__all__ = ["MovingSleep"]

_REAL_SLEEP = time.sleep
_PAUSE_SECONDS = 0.01
_LONGEST_SLEEP = 1e9


class MovingSleep:
    """Replacement of time.sleep that calls ``advance`` with the seconds, and returns soon.

    Only threads whose id is in ``operating`` move the clock: those in which the client is being
    used. Other threads of the client sleep in real time, because a background thread that moved the
    clock would let all time pass at once.
    """

    def __init__(self, advance: Callable[[float], None], operating: Container[int]) -> None:
        self._advance = advance
        self._operating = operating
        self._original: Any = _REAL_SLEEP
        # Each access to a method makes a new object. This one can be recognized again by identity.
        self._replacement: Any = self._sleep

    def install(self) -> None:
        """Replace time.sleep, also where modules have imported it by name."""
        # A client may have patched time.sleep (gevent). Its own sleep lets its green threads run,
        # so that one is called for the pause.
        self._original = time.sleep
        _replace_in_modules([_REAL_SLEEP, self._original], self._replacement)

    def remove(self) -> None:
        """Restore time.sleep as it was."""
        # `time` is one of the modules. If the client has patched time.sleep in the meantime, its
        # patch stays.
        _replace_in_modules([self._replacement], self._original)

    def _sleep(self, seconds: float, /) -> None:
        if not self._moves_clock(seconds):
            self._original(seconds)
            return
        # A short real pause lets other threads run, such as the one that the client waits for.
        self._original(min(seconds, _PAUSE_SECONDS))
        if seconds > _PAUSE_SECONDS:
            self._advance(seconds)

    def _moves_clock(self, seconds: Any) -> bool:
        # Modules that see real time must also sleep in real time, so the caller of sleep() counts:
        # two frames above this one.
        caller = str(sys._getframe(2).f_globals.get("__name__", ""))  # noqa: SLF001 - documented for this use
        return (
            threading.get_ident() in self._operating
            and isinstance(seconds, (int, float))
            and 0 < seconds < _LONGEST_SLEEP
            and not caller.startswith(REAL_TIME_MODULES)
        )


def _replace_in_modules(olds: list[Any], new: Any) -> None:
    # `from time import sleep` binds the function in the importing module, where a replacement of
    # time.sleep has no effect.
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        name = str(names.get("__name__", ""))
        if not name.startswith(REAL_TIME_MODULES) and any(
            names.get("sleep") is old for old in olds
        ):
            names["sleep"] = new
