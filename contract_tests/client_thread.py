"""Where a client under test runs: a thread of its own, or several at once."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from contract_tests.driver import Answer
from mockbroker.clock import real_seconds

__all__ = ["ClientThread", "in_client_thread"]

_SAMPLE_SECONDS = 0.05
_SERVERS = "mockbroker-"
_STOP_SECONDS = 2.0


def in_client_thread() -> bool:
    """Whether the caller is the client under test, in the thread in which it is being used."""
    return isinstance(threading.current_thread(), _Worker)


class _Worker(threading.Thread):
    """A daemon, and so are the threads that a client starts from it: none outlives the run."""


class ClientThread:
    """Runs operations in a daemon thread, awaitables on an event loop in another.

    An operation that does not end in time is abandoned, and nothing runs here any more.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], _Slot] | None]
        self._tasks = queue.SimpleQueue()
        self._thread: _Worker | None = None
        self._slot: _Slot | None = None
        self._abandoned = False
        self._loop = _LazyLoop()
        self._strangers = {*threading.enumerate()}

    def run(self, operation: Callable[[], Any], deadline: float) -> Answer:
        """What comes of an operation within so many seconds of real time."""
        if self._abandoned:
            return Answer(hung=True)
        if self._thread is None:
            self._thread = _Worker(target=self._serve, name="client", daemon=True)
            self._thread.start()
        slot = self._slot = _Slot()
        self._tasks.put((operation, slot))
        if not slot.wait(deadline):
            self._interrupt()
            return Answer(hung=True)
        return slot.answer

    def run_at_once(
        self, operation: Callable[[], Any], count: int, deadline: float
    ) -> list[Answer]:
        """What comes of that many operations begun at one moment, in threads of their own.

        Asynchronous operations are tasks of one event loop instead.
        """
        if inspect.iscoroutinefunction(operation):
            return self._gathered([operation] * count, deadline)
        slots = [_Slot() for _ in range(count)]
        start = threading.Barrier(count)
        workers = [
            _Worker(
                target=_run_in, args=(slot, operation, start), name="client at once", daemon=True
            )
            for slot in slots
        ]
        for worker in workers:
            worker.start()
        until = real_seconds() + deadline
        answers = [
            slot.answer if slot.wait(max(until - real_seconds(), 0)) else Answer(hung=True)
            for slot in slots
        ]
        if any(answer.hung for answer in answers):
            _break_loops(workers)
        awaitables = [answer.value for answer in answers if inspect.isawaitable(answer.value)]
        if awaitables:
            return self._gathered([partial(_identity, each) for each in awaitables], deadline)
        return answers

    def _gathered(self, operations: Sequence[Callable[[], Any]], deadline: float) -> list[Answer]:
        async def gather() -> list[Any]:
            begun = [operation() for operation in operations]
            return await asyncio.gather(*begun, return_exceptions=True)

        answer = self.run(gather, deadline)
        if answer.error is not None or answer.hung:
            return [answer] * len(operations)
        return [
            Answer(error=value) if isinstance(value, BaseException) else Answer(value=value)
            for value in answer.value
        ]

    @property
    def leaves_something_running(self) -> bool:
        """Whether a thread or a task is at work, or waits, that the client has begun."""
        begun = {*threading.enumerate()} - self._strangers
        ours = {t for t in begun if isinstance(t, _Worker) or t.name.startswith(_SERVERS)}
        return bool(begun - ours) or self._loop.is_busy

    def cut_off(self) -> None:
        """Take what is running now for hung, from any thread."""
        slot = self._slot
        if slot is not None:
            slot.give_up()

    def stop(self) -> None:
        """End the thread after what it is doing."""
        if self._thread is not None:
            self._tasks.put(None)

    def _interrupt(self) -> None:
        """Break a client that loops; one that blocks in C ends when its sockets do."""
        self._abandoned = True
        _break_loops([self._thread, self._loop.thread])
        self._tasks.put(None)

    def _serve(self) -> None:
        with contextlib.suppress(SystemExit):
            while (task := self._tasks.get()) is not None:
                operation, slot = task
                slot.fill(self._loop.answer(operation))
        self._loop.close()


def _identity(awaitable: Any) -> Any:
    return awaitable


def _run_in(slot: _Slot, operation: Callable[[], Any], start: threading.Barrier) -> None:
    start.wait()
    try:
        slot.fill(Answer(value=operation()))
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
        slot.fill(Answer(error=error))


def _break_loops(threads: Iterable[threading.Thread | None]) -> None:
    """End what keeps the processor busy in these threads, also what does so once another ends.

    What waits in C is left alone: an exception set there stays pending, and where CPython 3.11
    traces, as for coverage, a pending one keeps every other thread from going on.
    """
    begun = [thread for thread in threads if thread is not None]
    for _ in begun:
        idents = [t.ident for t in begun if t.ident is not None and t.is_alive()]
        before = {ident: _processor_time(ident) for ident in idents}
        threading.Event().wait(_SAMPLE_SECONDS)
        busy = [ident for ident in idents if _processor_time(ident) > before[ident]]
        if not busy:
            return
        for ident in busy:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(SystemExit)
            )


def _processor_time(ident: int) -> int:
    """How long a thread has used the processor; 0 if it has ended, more each time if unknown."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic_ns()
    try:
        return time.clock_gettime_ns(time.pthread_getcpuclockid(ident))
    except OSError:
        return 0


class _Slot:
    """Where a client thread leaves an answer; the first one counts."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.answer = Answer(hung=True)

    def fill(self, answer: Answer) -> None:
        self._answers.put(answer)

    def give_up(self) -> None:
        self._answers.put(Answer(hung=True))

    def wait(self, seconds: float) -> bool:
        """Whether an answer came in time."""
        with contextlib.suppress(queue.Empty):
            self.answer = self._answers.get(timeout=seconds)
        return not self.answer.hung


class _LazyLoop:
    """An event loop in a thread of its own, made only for a client that needs one.

    It runs between operations too, so that what a client does in the background goes on.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread: _Worker | None = None

    def answer(self, operation: Callable[[], Any]) -> Answer:
        try:
            value = operation()
            if inspect.isawaitable(value):
                value = self._wait_for(value)
        except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
            return Answer(error=error)
        return Answer(value=value)

    @property
    def is_busy(self) -> bool:
        """Whether the loop has a task that goes on."""
        return self._loop is not None and bool(asyncio.all_tasks(self._loop))

    def _wait_for(self, awaitable: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_caught(awaitable), self._running()).result()()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self.thread = _Worker(target=self._run, args=(self._loop,), name="loop", daemon=True)
            self.thread.start()
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(SystemExit):
            loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def close(self) -> None:
        if self._loop is not None and self.thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self.thread.join(_STOP_SECONDS)


async def _caught(awaitable: Awaitable[Any]) -> Callable[[], Any]:
    """What an awaitable comes to, as a function: an exit must not end the loop's thread."""
    try:
        value = await awaitable
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
        caught = error

        def fail() -> Any:
            raise caught

        return fail
    return lambda: value
