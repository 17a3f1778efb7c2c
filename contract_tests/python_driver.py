"""Driving a Python client: synchronous or not, in a thread of its own, with a deadline."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from contract_tests.client import ClientConfig, ClientFactory
from contract_tests.client_thread import ClientThread
from contract_tests.driver import Answer
from contract_tests.target import TargetError
from contract_tests.virtual_time import RealTime, StoryTime, VirtualTime

__all__ = ["PythonClients", "capabilities_of"]

_OPERATIONS = ("get_token", "request")
_CLOSING_SECONDS = 2.0


def capabilities_of(client: Any) -> tuple[str, ...]:
    """Which of ``get_token`` and ``request`` a client offers; a bare callable is a get_token.

    Raises TargetError if it offers neither, or raises when it is asked for one.
    """
    try:
        offered = tuple(name for name in _OPERATIONS if callable(getattr(client, name, None)))
    except Exception as error:
        raise TargetError(
            f"the client {type(client).__name__!r} raises {type(error).__name__} when asked for "
            "get_token or request; these must be plain methods"
        ) from error
    if offered:
        return offered
    if callable(client):
        return ("get_token",)
    raise TargetError(
        f"the factory returned {type(client).__name__!r}, which has neither get_token() nor "
        "request(method, url) and cannot be called; return an object that has one of them"
    )


class PythonDriver:
    """One client under test, made by its factory and used in its own thread.

    An operation that does not end within ``deadline`` seconds of real time is abandoned and
    interrupted, and the client is not used any more.
    """

    def __init__(self, factory: ClientFactory, config: ClientConfig, deadline: float) -> None:
        self.deadline = deadline
        self._thread = ClientThread()
        self._factory = factory
        self._config = config
        self.subject: Any = None
        """What the factory made, once it has."""

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of its capabilities.

        Raises TargetError if it has none.
        """
        answer = self._thread.run(partial(self._factory, self._config), self.deadline)
        if answer.error or answer.hung:
            return answer
        self.subject = answer.value
        return Answer(value=capabilities_of(self.subject))

    def get_token(self) -> Answer:
        """Ask the client for a token."""
        return self._thread.run(self._get_token, self.deadline)

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call."""
        call = partial(self.subject.request, method, url, **kwargs)
        return self._thread.run(call, self.deadline)

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Ask the client for a token, that many times at one moment."""
        return self._thread.run_at_once(self._get_token, count, self.deadline)

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make a signed call, that many times at one moment."""
        call = partial(self.subject.request, method, url)
        return self._thread.run_at_once(call, count, self.deadline)

    @property
    def _get_token(self) -> Callable[[], Any]:
        found: Callable[[], Any] = getattr(self.subject, "get_token", self.subject)
        return found

    @property
    def output(self) -> str:
        """Not known apart: it goes where that of the whole process goes."""
        return ""

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client goes on with something although nobody uses it."""
        return self._thread.leaves_something_running

    def cut_off(self) -> None:
        """Take the operation that is running now for one that never ends; from any thread."""
        self._thread.cut_off()

    def close(self) -> None:
        """Close the client if it can be closed, and end its thread."""
        for name in ("close", "aclose"):
            close = getattr(self.subject, name, None)
            if callable(close):
                self._thread.run(close, min(self.deadline, _CLOSING_SECONDS))
                break
        self._thread.stop()


def _version_of(module: str) -> str:
    """The version of the package that a module is of, as installed or as it says; or nothing."""
    package = module.partition(".")[0]
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        told = getattr(sys.modules.get(package), "__version__", "")
        return told if isinstance(told, str) else ""


class PythonClients:
    """The clients that a factory makes in this process."""

    maker = "the factory"
    failures = ()

    def __init__(self, factory: ClientFactory) -> None:
        self.factory = factory

    @property
    def description(self) -> Mapping[str, Any]:
        """What is known of the clients by themselves: what makes them, and of which version."""
        kind: Any = self.factory if hasattr(self.factory, "__qualname__") else type(self.factory)
        name = f"{kind.__module__}:{kind.__qualname__}"
        return {"name": name, "version": _version_of(str(kind.__module__))}

    def driver(self, config: ClientConfig, deadline: float) -> PythonDriver:
        """What drives a new client; an operation may take ``deadline`` seconds of real time."""
        return PythonDriver(self.factory, config, deadline)

    def times(self) -> Sequence[StoryTime]:
        """The clock of this process can be replaced."""
        return [VirtualTime(), RealTime()]

    def can_be_used_at_once(self, operation: str) -> bool:
        """Whether many operations of that kind can begin at one moment; threads can."""
        return operation in _OPERATIONS

    def close(self) -> None:
        """Nothing: every client lives in its own thread."""
