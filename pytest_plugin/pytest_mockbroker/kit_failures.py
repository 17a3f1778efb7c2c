"""Errors of the kit itself: safe to print, and separate from errors of the client.

The exceptions may refer to objects of the client's factory, which is code of the user in this
process. So no method of these objects is called here, and no attribute is looked up on them.
"""

from __future__ import annotations

import errno
import resource
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from mockbroker.fake_broker import Broker
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import Credentials
from mockbroker.model.escaping import printable, printable_lines
from mockbroker.model.masking import mask
from mockbroker.report.kit_error import KitError
from mockbroker_contract.drivers.failures import ResourcesExhausted
from mockbroker_contract.harness.client_session import ClientSession

__all__ = ["KitFailed", "kit_error_from"]

# A recursion has a thousand frames; the last ones show where it failed.
_MAX_FRAMES = 30
_LONGEST_CHAIN = 5
_LONGEST_TEXT = 500
# Python refuses to convert integers of more than 4300 digits, and a report needs no long ones.
_MAX_DIGITS = 30


class KitFailed(Exception):  # noqa: N818 - it stands for an error that it carries
    """Replacement for any exception that a clause test must not end with.

    pytest would format the original: it would call ``__str__`` and ``__repr__`` of objects that may
    be the client's, which can raise, exit, or never return.
    """

    def __init__(self, error: KitError) -> None:
        self.error = error
        super().__init__(error.reason)


def kit_error_from(error: BaseException, where: str = "") -> KitError:
    """Describe an exception without running any code of the objects that it refers to.

    ``where`` says what the kit was doing if it was not judging a clause.

    The result is safe to print: control characters are escaped, and secrets found in the frames are
    masked.
    """
    chain = list(_chain_of(error))
    secrets = _Secrets()
    for each in chain:
        # Messages may quote a token or a secret, which are found in the variables of the frames.
        secrets.collect(_field(each, "__traceback__"))
    text = "\n".join(_described(each) for each in reversed(chain))
    reason = printable(secrets.masked(_last_line(error)))
    prefix = f"{where}: " if where else ""
    remedy = next(filter(None, map(_remedy, chain)), "")
    message = f"the kit failed: {prefix}{reason}{remedy}"
    return KitError(message, printable_lines(secrets.masked(text)))


def _remedy(error: BaseException) -> str:
    """Return what to do about an error that reports exhausted resources of this process."""
    # From the arguments: a subclass may define errno in another way.
    number = error.args[0] if type(error) is OSError and error.args else None
    if number in {errno.EMFILE, errno.ENFILE} or type(error) is ResourcesExhausted:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f". The judging process may have {limit} file descriptors; raise the limit with "
            "`ulimit -n`. This says nothing about the client"
        )
    if type(error) is MemoryError:
        return ". The judging process has no more memory. This says nothing about the client"
    if type(error) is RuntimeError and error.args == ("can't start new thread",):
        return (
            ". The judging process may start no more threads; raise the limit with `ulimit -u`. "
            "This says nothing about the client"
        )
    return ""


def _chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes; five at most, because a chain may be endless."""
    following: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if following is None:
            return
        yield following
        cause, hidden = _field(following, "__cause__"), _field(following, "__suppress_context__")
        following = _field(following, "__context__") if cause is None and not hidden else cause


def _field(error: BaseException, name: str) -> Any:
    """Read an attribute as BaseException defines it, not as a subclass overrides it."""
    return getattr(BaseException, name).__get__(error)


def _described(error: BaseException) -> str:
    """Return the traceback of one exception as text, without running code of its objects."""
    # Source lines only. The values of variables are not shown, as their repr may be the client's
    # code.
    frames = traceback.extract_tb(_field(error, "__traceback__"), -_MAX_FRAMES)
    lines = [line.rstrip("\n") for line in frames.format()]
    return "\n".join(["Traceback (most recent call last):", *lines, _last_line(error)])


def _last_line(error: BaseException) -> str:
    """Return the name of an exception's class and its arguments."""
    name, words = _name_of(error), ", ".join(_words(_field(error, "args")))
    return f"{name}: {words[:_LONGEST_TEXT]}" if words else name


def _words(values: Iterable[object]) -> Iterator[str]:
    """Yield the values as strings if that runs only Python's own code."""
    for value in values:
        # type() and not isinstance(): the latter asks the object for its __class__.
        if issubclass(type(value), str):
            yield str.__str__(value)
        elif type(value) in {int, float, bool, type(None)} and _is_short(value):
            yield str(value)
        else:
            yield f"<{_name_of(value)}>"


def _name_of(value: object) -> str:
    # By the descriptor of type itself: a metaclass may override it.
    return str.__str__(type.__dict__["__name__"].__get__(type(value)))


def _is_short(value: object) -> bool:
    return type(value) is not int or value.bit_length() < 3 * _MAX_DIGITS


class _Secrets:
    """The credentials and tokens found in the frames of tracebacks."""

    def __init__(self) -> None:
        self._credentials: list[Credentials] = []
        self._tokens: set[str] = set()

    def masked(self, text: str) -> str:
        return mask(text, self._credentials, self._tokens)

    def collect(self, frames: TracebackType | None) -> None:
        while frames is not None:
            # A list, because f_locals is a view of a running frame since Python 3.13.
            for value in list(frames.tb_frame.f_locals.values()):
                self._add(value)
                if type(value) in {tuple, list}:
                    for part in value:
                        self._add(part)
            frames = frames.tb_next

    def _add(self, value: Any) -> None:
        # By the exact type: isinstance() would ask the object for its __class__.
        if type(value) is ClientSession:
            value = value.broker
        if type(value) is Credentials:
            self._credentials.append(value)
        elif type(value) is ClientConfig:
            self._credentials.append(Credentials(value.client_id, value.client_secret))
        elif type(value) is Broker:
            self._credentials += value.registered
            self._tokens.update(value.token_issued_values)
