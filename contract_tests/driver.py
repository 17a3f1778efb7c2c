"""Driving a Python client: synchronous or not, in a thread of its own, with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contract_tests.client import ClientConfig, ClientFactory
from contract_tests.target import TargetError

__all__ = ["Answer", "PythonClient", "capabilities_of"]

_OPERATIONS = ("get_token", "request")
_SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an operation: a value, an exception, or nothing within the deadline."""

    value: Any = None
    error: BaseException | None = None
    hung: bool = False


def capabilities_of(client: Any) -> tuple[str, ...]:
    """Which of ``get_token`` and ``request`` a client offers; a bare callable is a get_token.

    Raises TargetError if it offers neither.
    """
    offered = tuple(name for name in _OPERATIONS if callable(getattr(client, name, None)))
    if offered:
        return offered
    if callable(client):
        return ("get_token",)
    raise TargetError(
        f"the factory returned {type(client).__name__!r}, which has neither get_token() nor "
        "request(method, url) and cannot be called; return an object that has one of them"
    )


class PythonClient:
    """One client under test, made by its factory and used in its own thread.

    Awaitables are run on an event loop of that thread. An operation that does not end within
    ``deadline`` seconds of real time is abandoned and interrupted.
    """

    def __init__(self, factory: ClientFactory, config: ClientConfig, deadline: float) -> None:
        self._deadline = deadline
        self._thread = _ClientThread()
        self._client: Any = None
        self._factory = factory
        self._config = config

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of its capabilities.

        Raises TargetError if it has none.
        """
        answer = self._run(lambda: self._factory(self._config))
        if answer.error or answer.hung:
            return answer
        self._client = answer.value
        return Answer(value=capabilities_of(self._client))

    def get_token(self) -> Answer:
        """Ask the client for a token."""
        get_token = getattr(self._client, "get_token", self._client)
        return self._run(get_token)

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call."""
        return self._run(lambda: self._client.request(method, url, **kwargs))

    def close(self) -> None:
        """Close the client if it can be closed, and end its thread."""
        for name in ("close", "aclose"):
            close = getattr(self._client, name, None)
            if callable(close):
                self._run(close)
                break
        self._thread.stop()

    def _run(self, operation: Callable[[], Any]) -> Answer:
        answer = self._thread.run(operation, self._deadline)
        if answer.hung:
            self._thread.interrupt()
        return answer


class _ClientThread:
    """A daemon thread with an event loop, which runs one operation after the other."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], _Slot] | None]
        self._tasks = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._abandoned = False

    def run(self, operation: Callable[[], Any], deadline: float) -> Answer:
        if self._abandoned:
            return Answer(hung=True)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="client", daemon=True)
            self._thread.start()
        slot = _Slot()
        self._tasks.put((operation, slot))
        if not slot.done.wait(deadline):
            return Answer(hung=True)
        return slot.answer

    def stop(self) -> None:
        if self._thread is not None:
            self._tasks.put(None)

    def interrupt(self) -> None:
        """Break a client that loops; one that blocks in C ends when its sockets do."""
        self._abandoned = True
        thread = self._thread
        if thread is not None and thread.ident is not None and _is_running(thread.ident):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            )
        self._tasks.put(None)

    def _serve(self) -> None:
        loop = _LazyLoop()
        with contextlib.suppress(SystemExit):
            while (task := self._tasks.get()) is not None:
                operation, slot = task
                slot.answer = loop.answer(operation)
                slot.done.set()
        loop.close()


def _is_running(ident: int) -> bool:
    """Whether that live thread uses the processor, rather than wait in C.

    An exception set in a thread that waits stays pending; where CPython 3.11 traces, as for
    coverage, a pending one keeps every other thread from going on.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return True
    clock = time.pthread_getcpuclockid(ident)
    before = time.clock_gettime_ns(clock)
    threading.Event().wait(_SAMPLE_SECONDS)
    return time.clock_gettime_ns(clock) > before


class _Slot:
    """Where a client thread leaves an answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer = Answer()


class _LazyLoop:
    """An event loop that is only made for a client that needs one."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def answer(self, operation: Callable[[], Any]) -> Answer:
        try:
            value = operation()
            if inspect.isawaitable(value):
                value = self._wait_for(value)
        except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
            return Answer(error=error)
        return Answer(value=value)

    def _wait_for(self, awaitable: Awaitable[Any]) -> Any:
        async def outcome() -> Any:
            return await awaitable

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(outcome())

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
