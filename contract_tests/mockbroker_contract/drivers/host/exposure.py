"""Texts that a client makes visible: log records, warnings, its repr, its exceptions.

The judging process reads the client's output itself.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from mockbroker_contract.drivers.host.errors import bounded_text, chain_of, name_of_class
from mockbroker_contract.isolation.records import all_records

__all__ = ["Exposure"]

# A client at level DEBUG may log whole bodies at each request.
_MAX_CHARACTERS = 2_000_000


class Exposure:
    """Visible texts, each with its place; bounded, so that a flood uses no memory.

    It may be added to from threads of the client, through logging: appending to a list is atomic.
    """

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []
        self._characters = 0
        self._listening = contextlib.ExitStack()

    def add(self, where: str, text: str) -> None:
        """Store a text, unless the limit is reached.

        Not an error if the limit is reached: what was stored so far is searched.
        """
        if text and self._characters < _MAX_CHARACTERS:
            self._texts.append((where, text))
            self._characters += len(text)

    def take(self) -> list[tuple[str, str]]:
        """Return the texts, and remove them here.

        So each text is sent once, however often the judging process asks.
        """
        taken, self._texts, self._characters = self._texts, [], 0
        return taken

    def add_exception(self, error: BaseException) -> None:
        """Store what a traceback of an exception and of its causes would show.

        ``__str__`` and ``__repr__`` may be the client's own, so each is called with a guard.
        """
        # Each cause by itself, so that the report names the exception that has the secret.
        for each in chain_of(error):
            where = f"the {name_of_class(type(each))} that led to an exception"
            text = _bounded(partial(_last_lines, each))
            self.add("an exception" if each is error else where, text)
        self.add("an exception", _bounded(lambda: "".join(traceback.format_exception(error))))
        # In a container, or logged by %r, an exception shows its repr.
        self.add("an exception's repr", _bounded(lambda: repr(error)))

    def add_reprs(self, client: Any) -> None:
        """Store the repr of a client and of the objects in its attributes.

        Plain values in attributes, such as strings, containers and records, are the client's
        memory. They do not become visible by themselves.
        """
        for subject in (client, *_parts_of(client)):
            where = f"the repr of {name_of_class(type(subject))}"
            self.add(where, _bounded(partial(repr, subject)))

    def listen(self) -> None:
        """Record log records of every level, and warnings, until `close`.

        Process-wide while it lasts.
        """
        self._listening.enter_context(all_records(_LogRecorder(self), _warning_recorder(self)))

    def close(self) -> None:
        """Stop listening: restore levels, handlers and filters."""
        self._listening.close()


def _bounded(text: Callable[[], str]) -> str:
    return bounded_text(text, limit=_MAX_CHARACTERS)


def _last_lines(error: BaseException) -> str:
    """Return what a traceback shows of one exception, without its causes."""
    return "".join(traceback.format_exception_only(error))


def _parts_of(client: Any) -> list[Any]:
    """Return the objects in a client's attributes that have a repr of their own."""
    try:
        # A client may be a bound method; its object is what would be printed.
        owner = getattr(client, "__self__", client)
        parts = list(getattr(owner, "__dict__", {}).values())
        visible = [part for part in parts if _has_own_repr(part)]
    except Exception:  # noqa: BLE001 - the client's own classes may be broken
        return []
    return [owner, *visible] if owner is not client else visible


def _has_own_repr(part: Any) -> bool:
    """Return whether the object's class defines behavior and its own repr."""
    kind: Any = type(part)
    if kind.__module__ in {"builtins", "logging"} or isinstance(part, (tuple, dict, list, type)):
        return False
    # The default repr shows an address only; that of a dataclass shows a record's values.
    return not hasattr(kind, "__dataclass_fields__") and kind.__repr__ is not object.__repr__


def _warning_recorder(exposure: Exposure) -> Callable[..., None]:
    def show(message: object, *_: object, **__: object) -> None:
        exposure.add("a warning", _bounded(lambda: str(message)))

    return show


class _LogRecorder(logging.Handler):
    def __init__(self, exposure: Exposure) -> None:
        super().__init__(level=1)
        self._exposure = exposure
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        where = f"a log record of {record.name}, level {record.levelname}"
        self._exposure.add(where, _bounded(lambda: self.format(record)))
