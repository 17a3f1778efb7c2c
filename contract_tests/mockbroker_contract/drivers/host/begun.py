"""Uses of a client that were begun and have not been waited for.

The judging process holds a request of one use at the broker while it begins others. So it decides
which use comes first, and no test case has to hope for a race.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from mockbroker_contract.drivers.host.loops import AsyncioLoop, LoopTask, Outcome

__all__ = ["BegunUses", "wait_for_rest"]

_SAMPLE_SECONDS = 0.01
_EQUAL_SAMPLES = 5
_MAX_SAMPLES = 300
"""Three seconds: a client that polls is never at rest, and the test case must go on."""


class BegunUses:
    """Uses that run at the same time, each in a thread or as a task of the client's loop.

    Not safe for several threads: the host's main thread is the only user.
    """

    def __init__(self) -> None:
        self._uses: list[_ThreadUse | LoopTask] = []

    @property
    def threads(self) -> set[threading.Thread]:
        """The threads of the uses, which are not the client's own."""
        return {use.thread for use in self._uses if isinstance(use, _ThreadUse)}

    def begin_in_thread(self, operate: Callable[[], Outcome]) -> None:
        """Begin a use in a new thread. ``operate`` never raises."""
        self._uses.append(_ThreadUse(operate))

    def begin_in_loop(self, loop: AsyncioLoop, operation: Callable[[], Any]) -> None:
        """Begin a use as a task."""
        self._uses.append(loop.begin(operation))

    def settle(self) -> bool:
        """Wait until each use has ended or waits for something; return whether all have ended.

        A use counts as waiting once no thread and no task has moved in five samples, which take
        50 ms of real time. It returns after three seconds in any case.
        """
        wait_for_rest(lambda: [_position_of(use) for use in self._uses], self._have_ended)
        return self._have_ended()

    def _have_ended(self) -> bool:
        return all(use.is_done for use in self._uses)

    def cancel(self, number: int) -> None:
        """Cancel the use with that number, counted from 0, unless it runs in a thread."""
        use = self._uses[number]
        if isinstance(use, LoopTask):
            use.cancel()

    def finish(self) -> list[Outcome]:
        """Wait for every use, and return their outcomes in the order of their beginnings."""
        outcomes = [use.wait() for use in self._uses]
        self._uses.clear()
        return outcomes


def wait_for_rest(
    other_positions: Callable[[], object] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until no thread of this process moves any more; at most three seconds of real time.

    ``other_positions`` returns what must not change either. ``is_over`` ends the wait at once.
    """
    last, equal = None, 0
    for _ in range(_MAX_SAMPLES):
        if equal == _EQUAL_SAMPLES or is_over():
            return
        positions = (_thread_positions(), other_positions())
        equal = equal + 1 if positions == last else 0
        last = positions
        # Looked up each time: green threads of a client run during the wait of their own event.
        threading.Event().wait(_SAMPLE_SECONDS)


class _ThreadUse:
    """Use in a thread."""

    def __init__(self, operate: Callable[[], Outcome]) -> None:
        self._operate = operate
        self._outcome: Outcome = (None, None)
        # A daemon, so that a use that never returns cannot keep the host from exiting.
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self._outcome = self._operate()

    @property
    def is_done(self) -> bool:
        return not self.thread.is_alive()

    def wait(self) -> Outcome:
        # Without a timeout: the judging process has the deadline, and ends this process after it.
        self.thread.join()
        return self._outcome


def _thread_positions() -> list[tuple[int, int, int]]:
    """Return where every other thread of the process is: a thread that waits does not move."""
    own = threading.get_ident()
    frames = sys._current_frames()  # noqa: SLF001 - documented for debugging
    return sorted(
        (ident, id(frame.f_code), frame.f_lasti) for ident, frame in frames.items() if ident != own
    )


def _position_of(use: _ThreadUse | LoopTask) -> list[int]:
    """Return where a task is suspended; empty for a thread."""
    if isinstance(use, _ThreadUse):
        return []
    found, awaited = [int(use.is_done)], use.coroutine
    while type(awaited) is CoroutineType:
        found.append(awaited.cr_frame.f_lasti if awaited.cr_frame else -1)
        awaited = awaited.cr_await
    return found
