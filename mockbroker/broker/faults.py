"""Faults that a test scripts for the next answers of a broker.

A fault is a value that describes an answer. `mockbroker.broker.answers` applies it to a response,
and `mockbroker.server.wire` to the connection. Mistakes in a fault raise when it is made, in the
test's own line.
"""

from __future__ import annotations

import enum
import json
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Union

from mockbroker.model.content_codings import CODINGS

__all__ = [
    "Body",
    "Fault",
    "FaultScript",
    "Manner",
    "Sent",
    "TokenFlaw",
    "UnappliedFaultWarning",
    "checked_faults",
]

Body = Union[bytes, str, Mapping[str, object], None]
"""A body to answer with: bytes, a string sent as UTF-8, members of a JSON object, or the default.

The default, None, is the endpoint's usual body for the status.
"""

# RFC 9110, 5.1: a field name is a token. RFC 9110, 5.5: a value has no CR, LF or NUL and no
# whitespace around it. h11 raises for others while it sends, in the thread of the server. Checked
# here, the mistake is raised in the test that makes it.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""The header fields that say where a message ends (RFC 9112, 6)."""
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?")

HeaderFields = Union[Mapping[str, str], Iterable[tuple[str, str]]]


class UnappliedFaultWarning(UserWarning):
    """Warning that no request of a test came for a fault that the test had scripted."""


UnappliedFaultWarning.__module__ = "mockbroker"  # where users import it from


class Sent(enum.Enum):
    """How much of its response an endpoint sends."""

    ALL = "all"
    PART = "part"
    NOTHING = "nothing"


class Manner(str, enum.Enum):
    """How an answer is sent on the connection.

    ``sent`` is how much of the response the client can receive. ``words`` say what the endpoint
    does, for reports. The server implements all manners. Under another WSGI server each answer
    that the client can receive is sent normally, and the others are replaced by an error.
    """

    sent: Sent
    words: str

    # All that is known of a manner stands here, so that a new one cannot be forgotten elsewhere.
    # Only `mockbroker.server.wire` knows more: how to do it to a socket.
    NORMAL = "normal", Sent.ALL, "answers as usual"
    RESET = "reset", Sent.NOTHING, "resets the connection"
    STALL = "stall", Sent.NOTHING, "never answers"
    CUT_SHORT = "cut short", Sent.PART, "cuts the answer short"
    DRIP = "drip", Sent.ALL, "sends the answer in small pieces"
    CHUNKED = "chunked", Sent.ALL, "sends the answer in chunks"
    CLOSE_DELIMITED = "close-delimited", Sent.ALL, "ends the answer by closing the connection"
    REFUSE = "refuse", Sent.NOTHING, "refuses connections"

    def __new__(cls, value: str, sent: Sent, words: str) -> Manner:
        """Return a member; its value is the name in journals and reports."""
        manner = str.__new__(cls, value)
        manner._value_ = value
        manner.sent = sent
        manner.words = words
        return manner


class TokenFlaw(str, enum.Enum):
    """A flaw of a signed token, for which a resource server must reject it.

    ``EXPIRED`` an hour ago; ``NOT_YET_VALID`` for another hour; another ``AUDIENCE`` or ``ISSUER``;
    a ``KEY`` that is not the one named; an ``UNKNOWN_KEY`` that is not published; ``UNSIGNED``,
    with the algorithm none; the ``ALGORITHM`` HS256 with the public key as its secret; ``ALTERED``
    after it was signed.
    """

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    AUDIENCE = "audience"
    ISSUER = "issuer"
    KEY = "key"
    UNKNOWN_KEY = "unknown-key"
    UNSIGNED = "unsigned"
    ALGORITHM = "algorithm"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of an endpoint, applied once or ``count`` times. Make it by the class methods.

    Raises ValueError if a header field cannot be sent or a number is out of its range, TypeError if
    a body or a member cannot be sent or an argument is of a wrong type.
    Faults of different kinds compose: ``Fault.delay(2) & Fault.status(503)`` answers 503 after
    two seconds. Waits of real time (delay, stall, drip) end early when the broker is reset or
    stopped.
    """

    status_code: int | None = None
    body: Body = None
    headers: tuple[tuple[str, str], ...] = ()
    changes: Mapping[str, object] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    media_type: str | None = None
    breaks_json: bool = False
    token_flaw: TokenFlaw | None = None
    manner: Manner = Manner.NORMAL
    coding: str = ""
    spread_seconds: float = 0.0
    delay_seconds: float = 0.0
    latency_seconds: float = 0.0
    count: int = 1

    def __post_init__(self) -> None:
        # Here and not in the class methods: `&` and `times` make faults as well.
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
        """Answer with a status from 200 to 599, without a token or an API result.

        ``retry_after`` is in seconds, or a date as a string (RFC 9110, 10.2.3). Without a body the
        endpoint's usual error body for that status is sent. Raises ValueError for any other status,
        and TypeError if the status is not an integer.
        """
        # An informational status (1xx) is not an answer: the client would wait for the final one.
        _check_integer("status", code, 200, 599)  # the final statuses of RFC 9110, 15
        after = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls(status_code=code, body=body, headers=_pairs(headers) + after)

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> Fault:
        """Redirect to a URL. Raises ValueError if the status is not that of a redirect.

        The default, 307, makes a client repeat the method and the body (RFC 9110, 15.4.8). With
        302 many clients would send GET instead of the token request.
        """
        _check_integer("status of a redirect", status, 300, 399)  # RFC 9110, 15.4
        # Without it the endpoint's usual error body would be sent.
        return cls.status(status, body=b"", headers={"Location": location})

    @classmethod
    def delay(cls, seconds: float) -> Fault:
        """Wait for a number of real seconds, then answer normally."""
        return cls(delay_seconds=_duration(seconds))

    @classmethod
    def latency(cls, seconds: float) -> Fault:
        """Move the broker's clock by so many seconds between issue and answer, without waiting.

        A part of the token's lifetime has then passed on arrival, as with a slow response.
        """
        return cls(latency_seconds=_duration(seconds))

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """Send nothing for a number of real seconds, then close the connection."""
        return cls(manner=Manner.STALL, spread_seconds=_duration(seconds))

    @classmethod
    def reset(cls) -> Fault:
        """Reset the connection (TCP RST) instead of answering.

        The request is judged and recorded before, so the journal has it.
        """
        return cls(manner=Manner.RESET)

    @classmethod
    def refuse(cls) -> Fault:
        """Refuse connections, as if no server was running, until `Broker.clear_scripts`.

        From its turn in the script on the port is closed, so that it has no count, and no fault
        comes after it. It concerns both endpoints, because they share the port. The journal has no
        exchange of it.
        """
        return cls(manner=Manner.REFUSE)

    @classmethod
    def cut_short(cls) -> Fault:
        """Close the connection in the middle of the body.

        The Content-Length stays that of the whole body, so that an HTTP client can notice the loss.
        """
        return cls(manner=Manner.CUT_SHORT)

    @classmethod
    def drip(cls, seconds: float) -> Fault:
        """Send the answer in small pieces, spread over a number of real seconds.

        A read timeout of a client usually starts again with each piece, unlike a limit on the whole
        response.
        """
        return cls(manner=Manner.DRIP, spread_seconds=_duration(seconds))

    @classmethod
    def chunked(cls) -> Fault:
        """Send the answer with Transfer-Encoding: chunked, in several chunks, without a length.

        Any HTTP/1.1 client must understand it (RFC 9112, 7.1). A client of HTTP/1.0 gets what
        `close_delimited` sends.
        """
        return cls(manner=Manner.CHUNKED)

    @classmethod
    def close_delimited(cls) -> Fault:
        """Send the answer without a length; the end of the connection is the end of the answer.

        RFC 9112, 6.3, has this form for servers that do not know the length in advance.
        """
        return cls(manner=Manner.CLOSE_DELIMITED)

    @classmethod
    def compressed(cls, coding: str = "gzip") -> Fault:
        """Compress the answer if the request's Accept-Encoding allows the content coding.

        The coding is ``gzip`` or ``deflate``. Raises ValueError for any other. The journal keeps
        the answer as it was before.
        """
        if coding not in CODINGS:
            raise ValueError(f"coding must be {' or '.join(CODINGS)}, not {coding!r}")
        return cls(coding=coding)

    @classmethod
    def invalid_json(cls) -> Fault:
        """Answer with the first half of the JSON text, with the Content-Length of that half.

        Unlike `cut_short`, HTTP itself shows no error: only a JSON parser can.
        """
        return cls(breaks_json=True)

    @classmethod
    def members(cls, *, omit: Iterable[str] = (), **changes: object) -> Fault:
        """Change members of the JSON object of the answer, or leave some out.

        Raises TypeError if ``omit`` is a single string.
        """
        # A string is an iterable of strings: "scope" would omit the members "s", "c", "o"…
        if isinstance(omit, str):
            raise TypeError(f"omit takes the names of members, such as [{omit!r}], not a str")
        return cls(changes=changes, omit=tuple(omit))

    @classmethod
    def content_type(cls, media_type: str) -> Fault:
        """Answer normally with another Content-Type; an empty string omits the header."""
        return cls(media_type=media_type)

    @classmethod
    def flawed_token(cls, flaw: TokenFlaw | str) -> Fault:
        """Issue a signed token that a resource server must reject; see `TokenFlaw` for the flaws.

        The answer says nothing of it, and the broker's own API takes the token for valid. Raises
        ValueError for an unknown flaw.
        """
        names = [each.value for each in TokenFlaw]
        if flaw not in names:
            raise ValueError(f"a token's flaw must be one of {', '.join(names)}, not {flaw!r}")
        return cls(token_flaw=TokenFlaw(flaw))

    def times(self, count: int) -> Fault:
        """Return the same fault for that many answers.

        Raises ValueError below 1 and for `refuse`, and TypeError if the count is not an integer.
        """
        _check_integer("count", count, 1)
        if self.manner is Manner.REFUSE:
            raise ValueError("refuse() lasts until clear_scripts() is called, not for some answers")
        return replace(self, count=count)

    def __and__(self, other: Fault) -> Fault:
        """Return a fault that has the effects of both; if they conflict, the right one wins."""
        # What the right fault leaves at its default does not override the left one.
        return replace(self, **dict(other._set_fields()))

    def _set_fields(self) -> list[tuple[str, Any]]:
        """Return the fields that differ from those of an empty fault, with their values."""
        default = Fault()
        named = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [(name, value) for name, value in named if value != getattr(default, name)]

    def describe(self) -> str:
        """Return what the fault does in a few words, without header values or bodies.

        A test may put secrets into both, and the description stands in logs and reports.
        """
        parts = [text for text in _descriptions(self) if text]
        return " + ".join(parts) or "no fault"

    @property
    def answers_by_itself(self) -> bool:
        """Whether the endpoint does not do its own work: it sends a given status, or nothing."""
        # A cut or dripping answer is the endpoint's own one, which it must make first.
        return self.status_code is not None or self.manner.sent is Sent.NOTHING


def _descriptions(fault: Fault) -> list[str]:
    """Return a description of each kind of effect, empty for those that the fault does not have."""
    changed = ", ".join([*fault.changes, *(f"no {name}" for name in fault.omit)])
    return [
        f"clock +{fault.latency_seconds:g} s" if fault.latency_seconds else "",
        f"delay {fault.delay_seconds:g} s" if fault.delay_seconds else "",
        f"status {fault.status_code}" if fault.status_code is not None else "",
        f"members changed: {changed}" if changed else "",
        f"content type {fault.media_type!r}" if fault.media_type is not None else "",
        f"flawed token: {fault.token_flaw.value}" if fault.token_flaw else "",
        "invalid JSON" if fault.breaks_json else "",
        fault.coding,
        _describe_manner(fault),
    ]


def _describe_manner(fault: Fault) -> str:
    """Return the manner with its duration, if it has one; empty for a normal answer."""
    if fault.manner is Manner.NORMAL:
        return ""
    # A reset and a cut take no time: "0 s" would look like a setting.
    return f"{fault.manner.value} {fault.spread_seconds:g} s".removesuffix(" 0 s")


def _pairs(headers: HeaderFields) -> tuple[tuple[str, str], ...]:
    """Return header fields as pairs, in their order.

    An iterable of pairs may repeat a name, such as two Set-Cookie fields; a mapping cannot.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value) for name, value in pairs)


def _check_field(name: object, value: object) -> None:
    """Raise TypeError or ValueError if the server could not send the header field."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(
            f"a header field must be two strings, not {name!r} and a {type(value).__name__}"
        )
    if name.lower() in _FRAMING:
        raise ValueError(
            f"the server sets {name} by the body that it sends; leave it out (Fault.cut_short() "
            "sends less than was announced)"
        )
    for text, form, what in ((name, _NAME, "name"), (value, _VALUE, f"value of {name!r}")):
        try:
            # Latin-1, because the server sends each character as one byte.
            fits = form.fullmatch(text.encode("latin-1")) is not None
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise ValueError(
                f"{text!r} is not a valid {what} in a header; expected one line of Latin-1 "
                "without blanks around it (RFC 9110, 5)"
            )


def _check_body(body: object) -> None:
    """Raise TypeError if the body is of a wrong type, or its members are not valid JSON."""
    if isinstance(body, Mapping):
        _check_members(body)
    elif not (body is None or isinstance(body, (bytes, str))):
        kind = type(body).__name__
        raise TypeError(
            f"a body must be bytes, a str, the members of a JSON object or None, not {kind}"
        )


def _check_members(members: Mapping[str, object]) -> None:
    """Raise TypeError if the members are not valid JSON in UTF-8."""
    try:
        # Encoded as well: half a surrogate pair passes `dumps` but not UTF-8.
        json.dumps(members, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise TypeError(f"the members {list(members)} are not valid JSON: {error}") from error


def _duration(seconds: float) -> float:
    """Return the seconds. Raises ValueError unless they are finite and >= 0, or TypeError."""
    message = f"seconds must be a finite number >= 0, not {seconds!r}"
    # In Python True is an int; as a duration it would be a mistake.
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(message)
    # NaN is rejected as well: each comparison with it is false.
    if not 0 <= seconds < float("inf"):
        raise ValueError(message)
    return seconds


def _check_integer(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    """Raise TypeError if the value is not an integer, ValueError if it is out of its range."""
    wanted = f">= {lowest}" if highest is None else f"from {lowest} to {highest}"
    message = f"{name} must be an integer {wanted}, not {value!r}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(message)
    if value < lowest or (highest is not None and value > highest):
        raise ValueError(message)


def checked_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults. Raises TypeError if one is not a Fault."""
    checked = tuple(faults)
    for fault in checked:
        if not isinstance(fault, Fault):
            raise TypeError(f"a script must have faults such as Fault.status(503), not {fault!r}")
    return checked


class FaultScript:
    """The faults of the next answers of one endpoint, in order; thread-safe.

    One script for each endpoint: a fault for the token endpoint does not wait for a call to the
    API.
    """

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()
        # Whether an answer has had the first of them, so that only its repetitions wait.
        self._has_begun = False
        self._lock = threading.Lock()

    def extend(self, faults: Iterable[Fault]) -> None:
        """Apply these after those that wait already. Raises TypeError if one is not a Fault."""
        # All are checked before any is added: a script with a mistake is not applied in part.
        more = checked_faults(faults)
        with self._lock:
            self._waiting.extend(more)

    def next(self) -> Fault | None:
        """Remove and return the fault of the next answer; return None if it is to be normal.

        A fault with a count remains for the answers that follow.
        """
        # Most requests find none. It is read in one step, so that they need no lock.
        if not self._waiting:
            return None
        with self._lock:
            if not self._waiting:  # pragma: no cover - another request took the last one meanwhile
                return None
            fault = self._waiting.popleft()
            if fault.manner is Manner.REFUSE:
                # For a request on a connection from before: it gets no answer either.
                self._waiting.appendleft(fault)
            elif fault.count > 1:
                # In one step under the lock: of two requests at once, each takes one repetition.
                self._waiting.appendleft(replace(fault, count=fault.count - 1))
            self._has_begun = fault.count > 1
            return fault

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """The faults that wait, in order; the count of each is how many answers it affects yet."""
        with self._lock:
            return tuple(self._waiting)

    def remove(self, fault: Fault) -> None:
        """Remove the first fault that waits and equals it; do nothing if none does."""
        with self._lock:
            if fault in self._waiting:
                self._has_begun = self._has_begun and self._waiting[0] != fault
                self._waiting.remove(fault)

    @property
    def unapplied(self) -> tuple[Fault, ...]:
        """The faults that wait and have not been applied once."""
        with self._lock:
            # A refused connection shows in nothing, so it may have been refused.
            is_refusing = bool(self._waiting) and self._waiting[0].manner is Manner.REFUSE
            return tuple(self._waiting)[self._has_begun or is_refusing :]

    @property
    def is_refusing(self) -> bool:
        """Whether connections are to be refused now."""
        if not self._waiting:
            return False  # see `next`
        with self._lock:
            return bool(self._waiting) and self._waiting[0].manner is Manner.REFUSE

    def clear(self) -> None:
        """Remove every fault that waits."""
        with self._lock:
            self._waiting.clear()
            self._has_begun = False

    def __len__(self) -> int:
        """Return how many answers are still affected, repetitions included."""
        with self._lock:
            return sum(fault.count for fault in self._waiting)
