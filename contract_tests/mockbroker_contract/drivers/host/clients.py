"""One client under test: made by its factory and used, synchronous or asynchronous."""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import GeneratorType
from typing import Any, ClassVar

from mockbroker.model.client import ClientConfig, ClientFactory
from mockbroker_contract.drivers.host.begun import BegunUses, wait_for_rest
from mockbroker_contract.drivers.host.clock import HostClock
from mockbroker_contract.drivers.host.errors import name_of_class
from mockbroker_contract.drivers.host.loops import (
    AsyncioLoop,
    Loop,
    TrioLoop,
    is_written_for_trio,
    misses_trio,
)
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.isolation.thread_switching import eager_switching

__all__ = ["HostedClient", "Result", "capabilities_of"]

_OPERATIONS = ("get_token", "request")
_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """Result of an operation: a return value of the client, or its exception.

    The objects are the client's own. They stay in this process and are turned into plain values
    before they are sent.
    """

    value: Any = None
    error: BaseException | None = None


def capabilities_of(client: Any) -> tuple[str, ...]:
    """Return which of ``get_token`` and ``request`` a client offers.

    A bare callable counts as get_token. Raises TargetError if the client offers neither, or raises
    when the attributes are read.

    Attributes are looked up, not classes: a client may be a module, a partial, or an object with
    ``__getattr__``.
    """
    kind = name_of_class(type(client))
    try:
        offered = tuple(name for name in _OPERATIONS if callable(getattr(client, name, None)))
        is_callable = callable(client)
    except Exception as error:
        raise TargetError(
            f"the client {kind!r} raises {type(error).__name__} when asked for "
            "get_token or request; these must be plain methods"
        ) from error
    if offered:
        return offered
    if is_callable:
        return ("get_token",)
    if client is None:
        raise TargetError("the factory returned None; does it lack a return statement?")
    raise TargetError(
        f"the factory returned {kind!r}, which has neither get_token() nor "
        "request(method, url) and cannot be called; return an object that has one of them"
    )


class HostedClient:
    """Client and its event loop, if it needs one.

    Operations run in the calling thread, which is the host's main thread: a client may handle
    signals, and patch the process for green threads.
    """

    _has_missed_trio: ClassVar = False
    """Whether a client of this process needed trio; all clients come from one factory."""

    def __init__(self, factory: ClientFactory, config: ClientConfig, clock: HostClock) -> None:
        self._factory = factory
        self._config = config
        self._clock = clock
        # Threads of other clients, and of the host, are not this client's background work.
        self._threads_before = {*threading.enumerate()}
        self._burst_threads: set[threading.Thread] = set()
        self._chosen_loop: Loop | None = None
        self._begun = BegunUses()
        self.subject: Any = None
        """The factory's result, or None before `open`."""

    def open(self) -> Result:
        """Make the client.

        The factory may be asynchronous; its result is then awaited.
        """
        result = self.run(partial(self._factory, self._config))
        self.subject = result.value
        return result

    def get_token(self) -> Result:
        """Have the client get a token.

        A client that is a bare callable is called.
        """
        return self.run(self._get_token)

    def request(self, method: str, url: str, **options: Any) -> Result:
        """Have the client make a signed call.

        ``options`` are keyword arguments of the client's method, only those that the test case
        uses.
        """
        return self.run(lambda: self.subject.request(method, url, **options))

    def use(self, operation: str, **call: str) -> Result:
        """Have the client do that operation once; ``call`` has method and url of a request."""
        return self.run(self._act(operation, call))

    def burst(self, operation: str, count: int, **call: str) -> list[Result]:
        """Run that operation ``count`` times concurrently, in threads or tasks.

        Blocks until all of them have ended.
        """
        with eager_switching():
            return self._at_once(self._act(operation, call), count)

    def _act(self, operation: str, call: dict[str, str]) -> Callable[[], Any]:
        if operation == "request":
            return partial(self.subject.request, call["method"], call["url"])
        return self._get_token

    def stream_of(self, body: bytes) -> Iterator[bytes] | AsyncIterator[bytes]:
        """Return an iterator over the body that can be read once, in the client's own style.

        An asynchronous client that has been used gets an asynchronous iterator: its HTTP library
        accepts no other.
        """
        # Generators, because HTTP libraries know that they cannot read them again.
        return (part for part in [body]) if self._chosen_loop is None else _parts(body)

    # -- uses one after the other, at the same time ----------------------------------------------

    def begin(self, operation: str, count: int, **call: str) -> None:
        """Begin that operation ``count`` times, in threads or tasks, and return at once."""
        act = self._act(operation, call)
        for _ in range(count):
            if isinstance(self._chosen_loop, AsyncioLoop) or _is_coroutine_function(act):
                loop = self._loop(act)
                if isinstance(loop, AsyncioLoop):
                    self._begun.begin_in_loop(loop, act)
                    continue
            self._begun.begin_in_thread(partial(self._operate, act))

    def _operate(self, act: Callable[[], Any]) -> tuple[Any, BaseException | None]:
        result = self.run(act)
        return result.value, result.error

    def settle(self) -> bool:
        """Wait until each begun use has ended or waits for something; return whether all ended."""
        return self._begun.settle()

    def cancel(self, number: int) -> None:
        """Cancel the begun use with that number, counted from 0."""
        self._begun.cancel(number)

    def finish(self) -> list[Result]:
        """Wait for every begun use, and return their results in order."""
        return [Result(value, error) for value, error in self._begun.finish()]

    def wait_for_rest(self) -> None:
        """Wait until the client's own threads wait for something, if it has any."""
        if self._own_threads:
            wait_for_rest()

    @property
    def background(self) -> tuple[int, int]:
        """The numbers of threads and of tasks that the client runs between uses."""
        tasks = 0 if self._chosen_loop is None else self._chosen_loop.tasks
        return len(self._own_threads), tasks

    def threads_that_hold_up(self) -> list[str]:
        """Return the names of the client's threads for which an interpreter waits at its end.

        Threads that end within a second of real time do not count.
        """
        return [thread.name for thread in self._own_threads if _holds_up(thread)]

    @property
    def loop_kind(self) -> str:
        """The framework of the client's event loop; empty for a synchronous client."""
        return "" if self._chosen_loop is None else self._chosen_loop.framework

    def change_loop(self) -> None:
        """Close the client's event loop; its next use makes another one."""
        if self._chosen_loop is not None:
            kind = type(self._chosen_loop)
            self._chosen_loop.close()
            self._chosen_loop = kind(self._clock)

    @property
    def _get_token(self) -> Callable[[], Any]:
        found: Callable[[], Any] = getattr(self.subject, "get_token", self.subject)
        return found

    @property
    def is_busy(self) -> bool:
        """Whether a thread or task of the client still exists.

        Threads of a burst are not the client's own. Tasks count as far as the event loop knows
        them.
        """
        loop = self._chosen_loop
        return bool(self._own_threads) or (loop is not None and loop.is_busy)

    @property
    def _own_threads(self) -> set[threading.Thread]:
        """The threads that the client has started and that still run."""
        ours = {self._chosen_loop and self._chosen_loop.thread} | self._begun.threads
        remaining = {*threading.enumerate()} - self._threads_before - self._burst_threads
        return remaining - ours

    def _loop(self, awaited: Any) -> Loop:
        """Return the event loop, chosen by the first awaitable of the client."""
        if self._chosen_loop is None:
            hints = (self._factory, type(self.subject), awaited)
            is_for_trio = HostedClient._has_missed_trio or is_written_for_trio(*hints)
            kind = TrioLoop if is_for_trio else AsyncioLoop
            self._chosen_loop = kind(self._clock)
        return self._chosen_loop

    def run(self, operation: Callable[[], Any]) -> Result:
        """Run an operation, await an awaitable result, and return the outcome.

        Any exception is an answer of the client, exits included. The recursion limit is restored.
        """
        with self._operating():
            try:
                # Called in this thread even for an async client, because it may do work before its
                # first await.
                value = operation()
                if _is_awaitable(value):
                    value = self._awaited(value, operation)
            except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
                return Result(error=error)
            return Result(value)

    def _awaited(self, value: Any, operation: Callable[[], Any]) -> Any:
        """Await a value; if it turns out to need trio, repeat the operation in a trio loop."""
        # A client that has worked in this loop is not written for trio: its error is its own.
        is_first = self._chosen_loop is None
        loop = self._loop(value)
        try:
            return loop.wait_for(value)
        except RuntimeError as error:
            if not is_first or isinstance(loop, TrioLoop) or not misses_trio(error):
                raise
        loop.close()
        HostedClient._has_missed_trio = True
        self._chosen_loop = TrioLoop(self._clock)
        # The operation is called again, because a coroutine cannot be awaited twice.
        return self._chosen_loop.wait_for(operation())

    @contextlib.contextmanager
    def _operating(self) -> Iterator[None]:
        ident, depth = threading.get_ident(), sys.getrecursionlimit()
        # Only while it is in use may the client's sleep move the clock; see `HostClock`.
        self._clock.operating.add(ident)
        try:
            yield
        finally:
            self._clock.operating.discard(ident)
            # a low limit of the client would make the host itself fail
            sys.setrecursionlimit(depth)

    def _at_once(self, operation: Callable[[], Any], count: int) -> list[Result]:
        if _is_coroutine_function(operation):
            return self._gathered([operation] * count, operation)
        # Looked up at each use: if a client has patched them, these are its green threads.
        results = [Result()] * count
        # The barrier makes the uses overlap, although threads start one after the other.
        start = threading.Barrier(count)

        def run(number: int) -> None:
            try:
                start.wait()
                with self._operating():
                    results[number] = Result(operation())
            except BaseException as error:  # noqa: BLE001 - as above
                results[number] = Result(error=error)

        # Daemons, so that a use that never returns cannot keep the host from exiting.
        threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
        self._burst_threads.update(threads)
        try:
            for thread in threads:
                thread.start()
        except RuntimeError as error:  # the client has used up threads or memory
            # Threads that have started wait at the barrier for those that have not.
            start.abort()
            return [Result(error=error)] * count
        for thread in threads:
            # Without a timeout: the judging process has the deadline, and ends this process after
            # it.
            thread.join()
        self._burst_threads.difference_update(threads)
        # A plain function may return an awaitable as well. Then only the awaiting is concurrent.
        awaitables = [each.value for each in results if _is_awaitable(each.value)]
        if awaitables:
            return self._gathered([partial(_identity, each) for each in awaitables], awaitables[0])
        return results

    def _gathered(self, operations: Sequence[Callable[[], Any]], awaited: Any) -> list[Result]:
        """Run awaitables as tasks of the client's loop, and return their results in order."""
        with self._operating():
            outcomes = self._loop(awaited).gather(operations)
        return [Result(value, error) for value, error in outcomes]

    def close(self) -> Result:
        """Close the client if it can be closed.

        A client without ``close`` or ``aclose`` is left as it is.
        """
        return self.run(self._close)

    def is_closable(self) -> Result:
        """Return whether the client can be closed, as the value of the result."""
        return self.run(lambda: self._closing() is not None)

    def _close(self) -> Any:
        close = self._closing()
        return None if close is None else close()

    def _closing(self) -> Any:
        """Return the method that closes the client, or None."""
        # httpx names its asynchronous close `aclose`.
        for name in ("close", "aclose"):
            close = getattr(self.subject, name, None)  # the attribute may be a property that raises
            if callable(close):
                return close
        return None

    def end_loop(self) -> None:
        """End the event loop, if there is one.

        Pending tasks of the client are cancelled; its thread is given two seconds of real time.
        """
        if self._chosen_loop is not None:
            self._chosen_loop.close()


def _holds_up(thread: threading.Thread) -> bool:
    # The interpreter ends the workers of concurrent.futures before it waits for threads.
    if thread.daemon or thread in concurrent.futures.thread._threads_queues:  # noqa: SLF001
        return False
    thread.join(_GRACE_SECONDS)
    return thread.is_alive()


def _is_awaitable(value: Any) -> bool:
    """Return what `inspect.isawaitable` returns, by the value's real type.

    A client's object may claim another type in ``__class__``.
    """
    kind = type(value)
    if kind is GeneratorType:
        return bool(value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    return issubclass(kind, Awaitable)


def _is_coroutine_function(operation: Any) -> bool:
    try:
        return inspect.iscoroutinefunction(operation)
    except BaseException:  # noqa: BLE001 - the client's own classes may be broken, or exit
        return False


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _identity(awaitable: Any) -> Any:
    return awaitable
