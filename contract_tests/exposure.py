"""What a client lets others see: log records, output, its repr, the exceptions it raises."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

__all__ = ["Exposure", "chain_of", "overheard"]

_MOST_CHARACTERS = 2_000_000
_LONGEST_CHAIN = 10


@dataclass(frozen=True, slots=True)
class Exposure:
    """Texts that could be seen, each with where: bounded, so that a flood is no harm."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """Keep a text, unless there is too much already."""
        if sum(len(kept) for _, kept in self.texts[-1000:]) < _MOST_CHARACTERS:
            self.texts.append((where, text[:_MOST_CHARACTERS]))

    def add_exception(self, error: BaseException) -> None:
        """Keep what an exception, and those that led to it, would print."""
        for each in chain_of(error):
            where = f"the {type(each).__name__} that led to an exception"
            told = _said(partial(_last_lines, each))
            self.add("an exception" if each is error else where, told)
        self.add("an exception", _said(lambda: "".join(traceback.format_exception(error))))
        self.add("an exception's repr", _said(lambda: repr(error)))

    def add_reprs(self, client: Any) -> None:
        """Keep the repr of a client, and of the objects of which it is made.

        Values that it keeps, such as texts, containers and records, are its memory, not its face.
        """
        for subject in (client, *_parts_of(client)):
            self.add(f"the repr of {type(subject).__name__}", _said(partial(repr, subject)))

    def first_with(self, secrets: Iterable[str]) -> str:
        """Where the first text was that has any of the secrets; empty if none has."""
        wanted = tuple(secrets)
        for where, text in self.texts:
            if any(secret in text for secret in wanted):
                return where
        return ""


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that led to it, as a traceback would show them; ten at most."""
    following: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if following is None:
            return
        yield following
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)


def _last_lines(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error))


def _parts_of(client: Any) -> list[Any]:
    owner = getattr(client, "__self__", client)
    parts = list(getattr(owner, "__dict__", {}).values())
    shown = [part for part in parts if _has_a_face(part)]
    return [owner, *shown] if owner is not client else shown


def _has_a_face(part: Any) -> bool:
    """Whether the object has behaviour of its own and a repr of its own."""
    kind: Any = type(part)
    if kind.__module__ in {"builtins", "logging"} or isinstance(part, (tuple, dict, list, type)):
        return False
    return not hasattr(kind, "__dataclass_fields__") and kind.__repr__ is not object.__repr__


def _said(text: Callable[[], str]) -> str:
    try:
        return text()
    except Exception:  # noqa: BLE001 - the client's own classes may be broken
        return ""


@contextlib.contextmanager
def overheard() -> Iterator[Exposure]:
    """Collect log records of every level, output and warnings while the context lasts."""
    exposure = Exposure()
    with (
        _logs_heard(exposure),
        contextlib.redirect_stdout(_Ear(exposure, sys.stdout)),
        contextlib.redirect_stderr(_Ear(exposure, sys.stderr)),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("always")
        warnings.showwarning = _warning_heard(exposure)
        yield exposure


@contextlib.contextmanager
def _logs_heard(exposure: Exposure) -> Iterator[None]:
    root, handler = logging.getLogger(), _LogEar(exposure)
    level, disabled = root.level, root.manager.disable
    root.addHandler(handler)
    root.setLevel(1)
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.disable(disabled)


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


class _Ear(io.TextIOBase):
    """Output that is heard; what a client prints is passed on, but no flood."""

    _PASSED_ON = 20_000

    def __init__(self, exposure: Exposure, original: Any) -> None:
        self._exposure = exposure
        self._original = original
        self._left = self._PASSED_ON

    def write(self, text: str, /) -> int:
        self._exposure.add("output", text)
        if self._left > 0:
            self._original.write(text[: self._left])
            self._left -= len(text)
        return len(text)

    def flush(self) -> None:
        self._original.flush()
