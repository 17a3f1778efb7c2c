"""What a client lets others see: log records, warnings, its repr, the exceptions it raises.

What it writes to its output is seen by the judging process, which reads the other end.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from mockbroker_contract.drivers.host.errors import bounded_text, chain_of, name_of_class

__all__ = ["Exposure"]

_MOST_CHARACTERS = 2_000_000


class Exposure:
    """Texts that could be seen, each with where: bounded, so that a flood does no harm."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []
        self._characters = 0

    def add(self, where: str, text: str) -> None:
        """Keep a text, unless there is too much already."""
        if text and self._characters < _MOST_CHARACTERS:
            self._texts.append((where, text))
            self._characters += len(text)

    def take(self) -> list[tuple[str, str]]:
        """The texts, which are forgotten here."""
        taken, self._texts, self._characters = self._texts, [], 0
        return taken

    def add_exception(self, error: BaseException) -> None:
        """Keep what an exception, and those that led to it, would print."""
        for each in chain_of(error):
            where = f"the {name_of_class(type(each))} that led to an exception"
            told = _said(partial(_last_lines, each))
            self.add("an exception" if each is error else where, told)
        self.add("an exception", _said(lambda: "".join(traceback.format_exception(error))))
        self.add("an exception's repr", _said(lambda: repr(error)))

    def add_reprs(self, client: Any) -> None:
        """Keep the repr of a client, and of the objects of which it is made.

        Values that it keeps, such as texts, containers and records, are its memory, not its face.
        """
        for subject in (client, *_parts_of(client)):
            where = f"the repr of {name_of_class(type(subject))}"
            self.add(where, _said(partial(repr, subject)))

    def listen(self) -> Callable[[], None]:
        """Keep log records of every level, and warnings; call what is returned to stop."""
        root, handler = logging.getLogger(), _LogEar(self)
        level, disabled = root.level, root.manager.disable
        root.addHandler(handler)
        root.setLevel(1)
        logging.disable(logging.NOTSET)
        caught = warnings.catch_warnings()
        caught.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = _warning_heard(self)

        def stop() -> None:
            caught.__exit__(None, None, None)
            root.removeHandler(handler)
            root.setLevel(level)
            logging.disable(disabled)

        return stop


def _said(text: Callable[[], str]) -> str:
    return bounded_text(text, most=_MOST_CHARACTERS)


def _last_lines(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error))


def _parts_of(client: Any) -> list[Any]:
    try:
        owner = getattr(client, "__self__", client)
        parts = list(getattr(owner, "__dict__", {}).values())
        shown = [part for part in parts if _has_a_face(part)]
    except Exception:  # noqa: BLE001 - the client's own classes may be broken
        return []
    return [owner, *shown] if owner is not client else shown


def _has_a_face(part: Any) -> bool:
    """Whether the object has behaviour of its own and a repr of its own."""
    kind: Any = type(part)
    if kind.__module__ in {"builtins", "logging"} or isinstance(part, (tuple, dict, list, type)):
        return False
    return not hasattr(kind, "__dataclass_fields__") and kind.__repr__ is not object.__repr__


def _warning_heard(exposure: Exposure) -> Callable[..., None]:
    def show(message: object, *_: object, **__: object) -> None:
        exposure.add("a warning", _said(lambda: str(message)))

    return show


class _LogEar(logging.Handler):
    def __init__(self, exposure: Exposure) -> None:
        super().__init__(level=1)
        self._exposure = exposure
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        where = f"a log record of {record.name}, level {record.levelname}"
        self._exposure.add(where, _said(lambda: self.format(record)))
