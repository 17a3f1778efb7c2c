"""Faults that a test scripts for the next answers of a broker."""

from __future__ import annotations

import enum
import json
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Union

__all__ = ["Body", "Fault", "FaultScript", "Manner"]

Body = Union[bytes, str, Mapping[str, object], None]
"""A body to answer with: bytes, text sent as UTF-8, members of a JSON object, or the default."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?")

HeaderFields = Union[Mapping[str, str], Iterable[tuple[str, str]]]


class Manner(str, enum.Enum):
    """How an answer goes over the wire."""

    NORMAL = "normal"
    RESET = "reset"
    STALL = "stall"
    CUT_SHORT = "cut short"
    DRIP = "drip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of an endpoint, played once or ``count`` times. Make it by the class methods.

    Raises ValueError if a header field cannot be sent, TypeError if a body or a member cannot.
    Faults of different kinds compose: ``Fault.delay(2) & Fault.status(503)`` answers 503 after
    two seconds. What waits in real time (delay, stall, drip) ends early when the broker is reset
    or stopped.
    """

    status_code: int | None = None
    body: Body = None
    headers: tuple[tuple[str, str], ...] = ()
    changes: Mapping[str, object] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    media_type: str | None = None
    breaks_json: bool = False
    manner: Manner = Manner.NORMAL
    spread_seconds: float = 0.0
    delay_seconds: float = 0.0
    latency_seconds: float = 0.0
    count: int = 1

    def __post_init__(self) -> None:
        media_type = () if self.media_type is None else (("Content-Type", self.media_type),)
        for name, value in (*self.headers, *media_type):
            _check_field(name, value)
        _check_body(self.body)
        _check_members(self.changes)

    @classmethod
    def status(
        cls,
        code: int,
        *,
        body: Body = None,
        headers: HeaderFields = (),
        retry_after: float | str | None = None,
    ) -> Fault:
        """Answer with a status from 200 to 599 and nothing done.

        ``retry_after`` is in seconds, or a date as text. Without a body the endpoint's usual
        error body for that status is sent. Raises ValueError for any other status.
        """
        if not 200 <= code <= 599:  # noqa: PLR2004 - the final statuses of RFC 9110, 15
            raise ValueError(f"a fault's status is from 200 to 599, not {code}")
        after = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls(status_code=code, body=body, headers=_pairs(headers) + after)

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> Fault:
        """Redirect to a URL. Raises ValueError if the status is not that of a redirect."""
        if not 300 <= status <= 399:  # noqa: PLR2004 - the redirects of RFC 9110, 15.4
            raise ValueError(f"a redirect's status is from 300 to 399, not {status}")
        return cls.status(status, body=b"", headers={"Location": location})

    @classmethod
    def delay(cls, seconds: float) -> Fault:
        """Wait for a number of real seconds, then answer normally."""
        return cls(delay_seconds=_duration(seconds))

    @classmethod
    def latency(cls, seconds: float) -> Fault:
        """Move the broker's clock between issue and answer, without waiting."""
        return cls(latency_seconds=_duration(seconds))

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """Answer nothing for a number of real seconds, then close the connection."""
        return cls(manner=Manner.STALL, spread_seconds=_duration(seconds))

    @classmethod
    def reset(cls) -> Fault:
        """Reset the connection instead of answering."""
        return cls(manner=Manner.RESET)

    @classmethod
    def cut_short(cls) -> Fault:
        """Close the connection in the middle of the body."""
        return cls(manner=Manner.CUT_SHORT)

    @classmethod
    def drip(cls, seconds: float) -> Fault:
        """Send the answer in small pieces, spread over a number of real seconds."""
        return cls(manner=Manner.DRIP, spread_seconds=_duration(seconds))

    @classmethod
    def invalid_json(cls) -> Fault:
        """Answer with the first half of the JSON text, as if that were all."""
        return cls(breaks_json=True)

    @classmethod
    def members(cls, *, omit: Iterable[str] = (), **changes: object) -> Fault:
        """Change members of the JSON object of the answer, or leave some out.

        Raises TypeError if ``omit`` is one text instead of many.
        """
        if isinstance(omit, str):
            raise TypeError(f"omit takes the names of members, such as [{omit!r}], not a str")
        return cls(changes=changes, omit=tuple(omit))

    @classmethod
    def content_type(cls, media_type: str) -> Fault:
        """Answer normally but for the Content-Type; an empty text omits the header."""
        return cls(media_type=media_type)

    def times(self, count: int) -> Fault:
        """The same fault, played for that many answers. Raises ValueError below 1."""
        if count < 1:
            raise ValueError(f"a fault is played at least once, not {count} times")
        return replace(self, count=count)

    def __and__(self, other: Fault) -> Fault:
        """Both faults in one answer; where they disagree, the other one wins."""
        return replace(self, **dict(other._set_fields()))

    def _set_fields(self) -> list[tuple[str, Any]]:
        default = Fault()
        named = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [(name, value) for name, value in named if value != getattr(default, name)]

    def describe(self) -> str:
        """What the fault does, in a few words, without header values or bodies."""
        parts = [text for text in _descriptions(self) if text]
        return " + ".join(parts) or "no fault"

    @property
    def answers_by_itself(self) -> bool:
        """Whether the endpoint does none of its work: it sends a given status, or nothing."""
        return self.status_code is not None or self.manner in {Manner.RESET, Manner.STALL}


def _descriptions(fault: Fault) -> list[str]:
    changed = ", ".join([*fault.changes, *(f"no {name}" for name in fault.omit)])
    return [
        f"clock +{fault.latency_seconds:g} s" if fault.latency_seconds else "",
        f"delay {fault.delay_seconds:g} s" if fault.delay_seconds else "",
        f"status {fault.status_code}" if fault.status_code is not None else "",
        f"members changed: {changed}" if changed else "",
        f"content type {fault.media_type!r}" if fault.media_type is not None else "",
        "invalid JSON" if fault.breaks_json else "",
        _describe_manner(fault),
    ]


def _describe_manner(fault: Fault) -> str:
    if fault.manner is Manner.NORMAL:
        return ""
    return f"{fault.manner.value} {fault.spread_seconds:g} s".removesuffix(" 0 s")


def _pairs(headers: HeaderFields) -> tuple[tuple[str, str], ...]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value) for name, value in pairs)


def _check_field(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a header field is two texts, not {name!r} and a {type(value).__name__}")
    for text, form, what in ((name, _NAME, "name"), (value, _VALUE, f"value of {name!r}")):
        try:
            fits = form.fullmatch(text.encode("latin-1")) is not None
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise ValueError(
                f"{text!r} cannot be sent as the {what} in a header: it is one line of Latin-1 "
                "with nothing blank around it (RFC 9110, 5)"
            )


def _check_body(body: object) -> None:
    if isinstance(body, Mapping):
        _check_members(body)
    elif not (body is None or isinstance(body, (bytes, str))):
        kind = type(body).__name__
        raise TypeError(f"a body is bytes, a str, the members of a JSON object or None, not {kind}")


def _check_members(members: Mapping[str, object]) -> None:
    try:
        json.dumps(members, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise TypeError(f"the members {list(members)} make no JSON object: {error}") from error


def _duration(seconds: float) -> float:
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"a duration is a finite number of seconds from 0, not {seconds}")
    return seconds


class FaultScript:
    """The faults of the next answers of one endpoint, in order; safe to use from many threads."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()
        self._lock = threading.Lock()

    def extend(self, faults: Iterable[Fault]) -> None:
        """Play these after those that wait already. Raises TypeError if one is not a Fault."""
        more = tuple(faults)
        for fault in more:
            if not isinstance(fault, Fault):
                raise TypeError(f"a script takes faults such as Fault.status(503), not {fault!r}")
        with self._lock:
            self._waiting.extend(more)

    def next(self) -> Fault | None:
        """Take the fault of the next answer; return None if that answer is to be normal."""
        with self._lock:
            if not self._waiting:
                return None
            fault = self._waiting.popleft()
            if fault.count > 1:
                self._waiting.appendleft(replace(fault, count=fault.count - 1))
            return fault

    def clear(self) -> None:
        """Remove every fault that waits."""
        with self._lock:
            self._waiting.clear()

    def __len__(self) -> int:
        with self._lock:
            return sum(fault.count for fault in self._waiting)
