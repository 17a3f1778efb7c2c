"""Exceptions of a client as plain values: bounded strings, whatever the classes do."""

from __future__ import annotations

import errno
import resource
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["bounded_text", "chain_of", "name_of_class", "plain_error"]

# A chain may be endless, because a client can make an exception its own cause.
_LONGEST_CHAIN = 10
# Errors of HTTP libraries may quote a whole body, and each text is searched for secrets.
_LONGEST_TEXT = 10_000
_LONGEST_REMARK = 2_000
_MAX_TEXTS = 100
# The message by which time-machine refuses to start beside freezegun.
_MOVES_TIME = "time-machine cannot start when freezegun is active"
_UNPRINTABLE = "(its text cannot be shown)"


def bounded_text(say: Callable[[], Any], *, otherwise: str = "", limit: int = _LONGEST_TEXT) -> str:
    """Return the function's result as an exact, bounded str; ``otherwise`` if it fails.

    Only exact strings leave this function, so the caller can slice, join and encode them without
    running code of the client.
    """
    try:
        # A subclass of str may override its methods: str's own method returns the characters, and
        # raises TypeError for other types.
        return str.__str__(say())[:limit]
    except BaseException:  # noqa: BLE001 - the client's own classes may be broken, or exit
        return otherwise


def name_of_class(kind: type) -> str:
    """Return the class's own name, which a metaclass cannot change.

    It is read through the descriptor of `type` itself.
    """
    return str(type.__dict__["__name__"].__get__(kind))


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes in the order of a traceback; ten at most.

    A cause hides the context, as in a traceback.
    """
    following: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(following, BaseException):
            return
        yield following
        try:
            hidden = following.__suppress_context__
            following = following.__cause__ or (None if hidden else following.__context__)
        except Exception:  # noqa: BLE001 - the client may have made them properties
            return


def plain_error(error: BaseException) -> dict[str, Any]:
    """Return the exception as the members of `mockbroker_contract.drivers.driver.Raised`.

    Everything that the judging process may need is taken at once: the exception itself never leaves
    this process.
    """
    kind = type(error)
    return {
        "name": name_of_class(kind),
        "message": bounded_text(lambda: str(error), otherwise=_UNPRINTABLE)
        + _missing_resource(error),
        "bases": [name_of_class(base) for base in kind.__mro__][:_LONGEST_CHAIN],
        "texts": list(_texts_of(error))[:_MAX_TEXTS],
        "is_exit": isinstance(error, (SystemExit, KeyboardInterrupt)),
    }


def _missing_resource(error: BaseException) -> str:
    """Return, in words, the resource that the process lacked, if that caused the error."""
    for each in chain_of(error):
        if isinstance(each, OSError) and each.errno in (errno.EMFILE, errno.ENFILE):
            return f" (the client's process has {_open_descriptors()} descriptors open)"
        if isinstance(each, RuntimeError) and "can't start new thread" in bounded_text(
            lambda each=each: str(each)  # type: ignore[misc]
        ):
            return f" (the client's process has {threading.active_count()} threads)"
        if isinstance(each, MemoryError):
            return " (the client's process has no more memory)"
        if _MOVES_TIME in bounded_text(lambda each=each: str(each)):  # type: ignore[misc]
            return " (the check moves the time by freezegun; use freezegun in the client, too)"
    return ""


def _open_descriptors() -> str:
    # Listing the folder of descriptors needs a free descriptor; the limit needs none.
    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _texts_of(error: BaseException) -> Iterator[str]:
    """Yield the strings of an exception and its causes: messages, attributes and notes."""
    for each in chain_of(error):
        for text in (str, repr):
            yield bounded_text(lambda each=each, text=text: text(each), limit=_LONGEST_REMARK)  # type: ignore[misc]
        for value in _attributes_of(each):
            yield bounded_text(lambda value=value: str(value), limit=_LONGEST_REMARK)  # type: ignore[misc]


def _attributes_of(error: BaseException) -> list[Any]:
    """Return the strings and integers among an exception's attributes, and its notes (PEP 678)."""
    try:
        attributes = [v for v in vars(error).values() if isinstance(v, (str, int))]
        notes = getattr(error, "__notes__", ())
        return [*attributes, *(notes if isinstance(notes, (list, tuple)) else ())]
    except Exception:  # noqa: BLE001 - the client's own exceptions may be broken
        return []
