"""Moving the time of this process, by the library that a test uses for it.

The broker needs neither freezegun nor time-machine: it reads `time.time`, which both replace. They
are looked up by name when a test travels, so that no other test run imports them.
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

__all__ = ["TimeTravel"]

Undo = Callable[[], None]


class TimeTravel:
    """The moves of the process's time that one test has made; `end` takes them back.

    For the thread of the test. All threads of the process see the moved time.
    """

    def __init__(self) -> None:
        self._moves: list[Undo] = []

    def move(self, seconds: float) -> None:
        """Move the time forward by a number of seconds.

        The library that is active is moved. If none is, time-machine or else freezegun is started,
        and time goes on from there. Raises TypeError or ValueError unless the seconds are a finite
        number >= 0. Raises RuntimeError if neither library is installed.
        """
        message = f"seconds must be a finite number >= 0, not {seconds!r}"
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise TypeError(message)
        # NaN is rejected as well: each comparison with it is false.
        if not 0 <= seconds < math.inf:
            raise ValueError(message)
        # An active library keeps its own way to run: frozen time stays frozen after the move.
        undo = _move_freezegun(seconds) or _move_time_machine(seconds)
        self._moves.append(undo or _start(seconds))

    def end(self) -> None:
        """Take back every move, the latest first, and stop the library if it was started here."""
        while self._moves:
            self._moves.pop()()


def _move_freezegun(seconds: float) -> Undo | None:
    """Move freezegun's time if it is active; return what moves it back, or None."""
    # freezegun replaces `time.time` itself, so that it decides even above time-machine.
    frozen = getattr(sys.modules.get("freezegun.api"), "freeze_factories", None)
    if not frozen:
        return None
    return _move(frozen, _shift_frozen, seconds)


def _shift_frozen(factory: Any, seconds: float) -> None:
    # Not by its `tick`: that of ticking time loses what has passed since the start.
    factory.time_to_freeze += timedelta(seconds=seconds)


def _move_time_machine(seconds: float) -> Undo | None:
    """Move time-machine's time if it is active; return what moves it back, or None."""
    module = sys.modules.get("time_machine")
    # The name since its version 3, and the one before.
    stack = getattr(module, "traveller_stack", None) or getattr(module, "coordinates_stack", None)
    if not stack:
        return None
    return _move(stack, lambda traveller, by: traveller.shift(by), seconds)


def _move(stack: list[Any], shift: Callable[[Any, float], None], seconds: float) -> Undo:
    """Shift the innermost of the active times; return what shifts it back."""
    moved = stack[-1]
    shift(moved, float(seconds))

    def undo() -> None:
        # It may be that of a block within the test, which has ended. Then nothing is left to undo.
        # By identity: two times may be equal.
        if any(each is moved for each in stack):
            shift(moved, -float(seconds))

    return undo


def _start(seconds: float) -> Undo:
    """Start the library that is installed, with time that goes on; return what stops it.

    Raises RuntimeError if there is none.
    """
    # time-machine first: freezegun comes with mockbroker, time-machine is a choice of the project.
    for name, start in (("time_machine", _start_time_machine), ("freezegun", _start_freezegun)):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return start(module, seconds)
    raise RuntimeError("travel() needs freezegun or time-machine; install one of them")


def _start_time_machine(module: Any, seconds: float) -> Undo:
    travel = module.travel(time.time() + seconds, tick=True)
    travel.start()
    stop: Undo = travel.stop
    return stop


def _start_freezegun(module: Any, seconds: float) -> Undo:
    then = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    # An event loop keeps real time: its timeouts would all be over after an hour's move.
    freezer = module.freeze_time(then, tick=True, real_asyncio=True)
    freezer.start()
    stop: Undo = freezer.stop
    return stop
