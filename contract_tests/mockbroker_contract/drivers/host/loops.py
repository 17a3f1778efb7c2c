"""Event loops for asynchronous clients: asyncio's, of any policy, or trio's.

A loop has its own thread and also runs between operations, so that the client's background tasks
continue. It is made only for a client that needs one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any

from mockbroker_contract.drivers.host.clock import HostClock
from mockbroker_contract.drivers.host.errors import bounded_text

__all__ = [
    "AsyncioLoop",
    "Loop",
    "LoopTask",
    "Outcome",
    "TrioLoop",
    "is_written_for_trio",
    "misses_trio",
]

_STOP_SECONDS = 2.0
# The first message is trio's own, the second is asyncio's about an object of trio.
_MISSED = ("must be called from async context", "Task got bad yield: <class 'trio.")

Outcome = tuple[Any, "BaseException | None"]
"""A value and None, or None and an exception."""


class Loop(ABC):
    """Event loop that runs awaitables for a caller in another thread.

    ``wait_for`` and ``gather`` block the calling thread and have no deadline of their own: the
    judging process ends a host that is too late. One caller at a time.
    """

    framework = ""
    """The name of the package that the loop belongs to."""

    def __init__(self, clock: HostClock) -> None:
        self._clock = clock
        self.thread: threading.Thread | None = None
        """The loop's thread, or None before the first use."""

    @property
    @abstractmethod
    def tasks(self) -> int:
        """The number of unfinished tasks."""

    @property
    def is_busy(self) -> bool:
        """Whether the loop has an unfinished task."""
        return self.tasks > 0

    @abstractmethod
    def gather(self, operations: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run awaitables concurrently as tasks, and return their outcomes.

        The outcomes have the order of the operations. No operation's exception ends the others.
        """

    @abstractmethod
    def close(self) -> None:
        """End the loop and its thread.

        Returns after two seconds even if a task blocks the loop; its thread is a daemon.
        """

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Return the awaitable's result. Raises its exception."""
        [(value, error)] = self.gather([lambda: awaitable])
        if error is not None:
            raise error
        return value

    def _start(self, run: Callable[[], None]) -> None:
        def run_and_operate() -> None:
            # Coroutines run in this thread, so their sleep() must move the clock as that of a
            # synchronous client does.
            self._clock.operating.add(threading.get_ident())
            try:
                run()
            finally:
                self._clock.operating.discard(threading.get_ident())

        # A daemon: a task of the client that blocks the loop must not keep the host from exiting.
        self.thread = threading.Thread(target=run_and_operate, name="loop", daemon=True)
        self.thread.start()


class LoopTask:
    """Task that was begun in a loop of asyncio, seen from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Outcome]) -> None:
        self._loop = loop
        self._task = task

    @property
    def is_done(self) -> bool:
        """Whether the task has ended."""
        return self._task.done()

    @property
    def coroutine(self) -> Any:
        """The coroutine of the task; its frames show where the task is suspended."""
        return self._task.get_coro()

    def cancel(self) -> None:
        """Cancel the task, if it has not ended."""
        # No other method of a loop may be called from another thread.
        self._loop.call_soon_threadsafe(self._task.cancel)

    def wait(self) -> Outcome:
        """Wait for the end of the task, and return its outcome."""

        async def end() -> None:
            await asyncio.wait([self._task])

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        # A task that was cancelled before it began has no outcome of its own.
        if self._task.cancelled():
            return None, asyncio.CancelledError()
        return self._task.result()


class AsyncioLoop(Loop):
    """Loop of asyncio, or of a replaced policy such as uvloop.

    Its thread is started at the first use. `close` cancels pending tasks and closes asynchronous
    generators.
    """

    framework = "asyncio"

    def __init__(self, clock: HostClock) -> None:
        super().__init__(clock)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def tasks(self) -> int:
        """The number of unfinished tasks."""
        return 0 if self._loop is None else len(asyncio.all_tasks(self._loop))

    def gather(self, operations: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run awaitables concurrently as tasks, and return their outcomes."""

        async def gather() -> list[Outcome]:
            # `_outcome` never raises, so one failing operation does not end the wait for the
            # others.
            return list(await asyncio.gather(*map(_outcome, operations)))

        return asyncio.run_coroutine_threadsafe(gather(), self._running()).result()

    def begin(self, operation: Callable[[], Any]) -> LoopTask:
        """Begin an awaitable as a task, and return the task at once."""

        async def begin() -> asyncio.Task[Outcome]:
            return asyncio.ensure_future(_outcome(operation))

        loop = self._running()
        return LoopTask(loop, asyncio.run_coroutine_threadsafe(begin(), loop).result())

    def _running(self) -> asyncio.AbstractEventLoop:
        """Return the loop, started if necessary."""
        if self._loop is None:
            # By the policy in force, so a client that has installed uvloop gets its loop.
            self._loop = asyncio.new_event_loop()
            self._start(self._run)
        return self._loop

    def _run(self) -> None:
        """Run the loop in its thread until `close`, then end its tasks."""
        loop = self._loop
        assert loop is not None
        # A background task of the client may raise it.
        with contextlib.suppress(SystemExit):
            loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        # One turn of the loop lets the tasks handle their cancellation.
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def close(self) -> None:
        """End the loop and its thread."""
        if self._loop is not None and self.thread is not None:
            # No other method of a loop may be called from another thread.
            self._loop.call_soon_threadsafe(self._loop.stop)
            self.thread.join(_STOP_SECONDS)


class TrioLoop(Loop):
    """Run of trio.

    One trio run that waits in its own thread; operations enter it from outside with its token.
    """

    framework = "trio"

    def __init__(self, clock: HostClock) -> None:
        super().__init__(clock)
        self._token: Any = None
        self._is_ready = threading.Event()
        self._leave: Any = None

    @property
    def tasks(self) -> int:
        """0: the operation that opened a nursery of the client also closes it."""
        return 0

    def gather(self, operations: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run awaitables concurrently as tasks, and return their outcomes."""
        import trio  # noqa: PLC0415 - the client has it, the kit needs it for nothing else

        outcomes: list[Outcome] = [(None, None)] * len(operations)

        async def run(number: int) -> None:
            outcomes[number] = await _outcome(operations[number])

        async def gather() -> None:
            async with trio.open_nursery() as nursery:
                for number in range(len(operations)):
                    nursery.start_soon(run, number)

        if self._token is None:
            self._start(self._run)
            self._is_ready.wait()
        # The token, because this thread was not started by trio.
        trio.from_thread.run(gather, trio_token=self._token)
        return outcomes

    def _run(self) -> None:
        """Run trio in its thread until `close`."""
        import trio  # noqa: PLC0415 - as above

        async def stay() -> None:
            self._token, self._leave = trio.lowlevel.current_trio_token(), trio.Event()
            self._is_ready.set()
            await self._leave.wait()

        trio.run(stay)

    def close(self) -> None:
        """End the run and its thread."""
        if self._token is not None and self.thread is not None:
            self._token.run_sync_soon(self._leave.set)
            self.thread.join(_STOP_SECONDS)


async def _outcome(operation: Callable[[], Any]) -> Outcome:
    """Return the outcome of an awaitable: an exit must not end the loop's thread."""
    try:
        return await operation(), None
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
        return None, error


def is_written_for_trio(*objects: Any) -> bool:
    """Return whether the first object whose module uses one framework uses trio.

    The names in the modules of functions, classes and coroutines are compared. A module that uses
    both trio and asyncio, or neither, decides nothing.

    Trio is never imported for this: a client that uses it has done so.
    """
    trio = sys.modules.get("trio")
    for each in objects if trio is not None else ():
        names = list(_names_beside(each).values())
        uses_trio, uses_asyncio = (any(n is m for n in names) for m in (trio, asyncio))
        if uses_trio != uses_asyncio:
            return uses_trio
    return False


def misses_trio(error: RuntimeError) -> bool:
    """Return whether trio raises this error when another framework's loop runs it."""
    said = bounded_text(lambda: str(error))
    return "trio" in sys.modules and any(words in said for words in _MISSED)


def _names_beside(found: Any) -> dict[str, Any]:
    """Return the names in the module of a function, a class or a running coroutine."""
    try:
        if type(found) is CoroutineType and found.cr_frame is not None:
            return dict(found.cr_frame.f_globals)
        return dict(vars(sys.modules[found.__module__]))
    except Exception:  # noqa: BLE001 - the client's own classes may be broken, or have no module
        return {}
