"""Faults as JSON: an object whose keys are the effects, which compose as `Fault` does.

``{"delay_seconds": 2, "status": 503, "times": 3}`` is
``(Fault.delay(2) & Fault.status(503)).times(3)``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from msgspec import Meta, Struct

from mockbroker.broker.faults import Fault, Manner, TokenFlaw

__all__ = ["FaultBody", "FaultError", "body_of", "fault_of"]

# A day. Longer waits would only keep a thread; `latency` moves the clock, which `clock` also does.
_Seconds = Annotated[
    float, Meta(ge=0, le=86_400, description="a number of seconds from 0 to 86400")
]
_Status = Annotated[int, Meta(ge=200, le=599, description="a status from 200 to 599")]
_Times = Annotated[
    int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000, the answers affected")
]
_HeaderValues = Union[str, list[str]]
_Base64 = Annotated[str, Meta(description="a string in Base64")]


class FaultError(ValueError):
    """A fault that cannot be applied; the message is one sentence."""


class FaultBody(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A fault: each key is an effect, and several compose. `times` is how many answers it affects.

    The status replaces the answer; `body`, `headers` and `retry_after` go with it. Of the ways to
    send an answer (`stall_seconds`, `reset`, `cut_short`, `drip_seconds`, `chunked`,
    `close_delimited`, `refuse_seconds`) a fault has one at most. `refuse_seconds` refuses every
    connection, also those to this API, until the seconds have passed.
    """

    status: Union[_Status, None] = None
    redirect: Union[str, None] = None
    body: Union[str, dict[str, Any], None] = None
    body_base64: Union[_Base64, None] = None
    headers: dict[str, _HeaderValues] = {}
    retry_after: Union[int, str, None] = None
    members: dict[str, Any] = {}
    omit: tuple[str, ...] = ()
    content_type: Union[str, None] = None
    token_flaw: Union[TokenFlaw, None] = None
    invalid_json: bool = False
    compressed: Union[Literal["gzip", "deflate"], None] = None
    delay_seconds: Union[_Seconds, None] = None
    latency_seconds: Union[_Seconds, None] = None
    stall_seconds: Union[_Seconds, None] = None
    drip_seconds: Union[_Seconds, None] = None
    refuse_seconds: Union[_Seconds, None] = None
    reset: bool = False
    cut_short: bool = False
    chunked: bool = False
    close_delimited: bool = False
    times: _Times = 1


_MANNERS = {
    Manner.RESET: "reset",
    Manner.CUT_SHORT: "cut_short",
    Manner.CHUNKED: "chunked",
    Manner.CLOSE_DELIMITED: "close_delimited",
    Manner.STALL: "stall_seconds",
    Manner.DRIP: "drip_seconds",
    Manner.REFUSE: "refuse_seconds",
}
"""The key for each manner of sending an answer."""


def fault_of(body: FaultBody) -> Fault:
    """Return the fault that the object describes. Raises FaultError if it makes no sense."""
    try:
        fault = _combined(body)
    except (ValueError, TypeError) as error:
        raise FaultError(str(error)) from error
    if fault == Fault():
        raise FaultError('a fault needs an effect, such as {"status": 503}')
    if fault.manner is Manner.REFUSE:
        return fault  # it has a duration instead of a count
    return fault.times(body.times)


def _combined(body: FaultBody) -> Fault:
    """Return a fault with all effects. Raises ValueError or TypeError if two contradict."""
    fault = _answer(body)
    if body.members or body.omit:
        fault &= Fault(changes=body.members, omit=body.omit)
    if body.content_type is not None:
        fault &= Fault.content_type(body.content_type)
    if body.token_flaw is not None:
        fault &= Fault.flawed_token(body.token_flaw)
    if body.invalid_json:
        fault &= Fault.invalid_json()
    if body.compressed is not None:
        fault &= Fault.compressed(body.compressed)
    if body.delay_seconds is not None:
        fault &= Fault.delay(body.delay_seconds)
    if body.latency_seconds is not None:
        fault &= Fault.latency(body.latency_seconds)
    return fault & _sent(body)


def _answer(body: FaultBody) -> Fault:
    """Return the fault that replaces the answer; an empty one if the answer is the normal one."""
    if body.body is not None and body.body_base64 is not None:
        raise FaultError("body and body_base64 contradict each other; keep one")
    if body.status is None and body.redirect is None:
        for key in ("body", "body_base64", "headers", "retry_after"):
            if getattr(body, key) not in (None, {}):
                raise FaultError(f'{key} needs a status, such as "status": 503')
        return Fault()
    content: bytes | str | Mapping[str, object] | None = body.body
    if body.body_base64 is not None:
        content = _decoded(body.body_base64)
    headers = [(name, value) for name, values in body.headers.items() for value in _each(values)]
    if body.redirect is None:
        assert body.status is not None, "one of both is there"
        return Fault.status(
            body.status, body=content, headers=headers, retry_after=body.retry_after
        )
    redirect = Fault.redirect(body.redirect, 307 if body.status is None else body.status)
    given = Fault.status(
        redirect.status_code or 307,
        body=b"" if content is None else content,
        headers=[*redirect.headers, *headers],
        retry_after=body.retry_after,
    )
    return redirect & given


def _each(values: _HeaderValues) -> list[str]:
    """Return the values of a header field, of which there may be several."""
    return [values] if isinstance(values, str) else values


def _decoded(text: str) -> bytes:
    """Return the bytes of a string in Base64. Raises FaultError if it is malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FaultError(f"body_base64 is not valid Base64: {error}") from error


def _sent(body: FaultBody) -> Fault:
    """Return the fault of how the answer is sent. Raises FaultError if there are several."""
    given = {manner: getattr(body, key) for manner, key in _MANNERS.items()}
    chosen = [manner for manner, value in given.items() if value not in (None, False)]
    if len(chosen) > 1:
        names = " and ".join(_MANNERS[manner] for manner in chosen)
        raise FaultError(f"{names} contradict each other; keep one")
    if not chosen:
        return Fault()
    value = given[chosen[0]]
    if chosen[0] in (Manner.STALL, Manner.DRIP):
        return Fault(manner=chosen[0], spread_seconds=float(value))
    return Fault(manner=chosen[0])


def body_of(fault: Fault) -> FaultBody:
    """Return the object that describes a fault; of a refusal it does not have the duration."""
    keys: dict[str, Any] = {
        "status": fault.status_code,
        **_body_keys(fault),
        "headers": _grouped(fault.headers),
        "members": dict(fault.changes),
        "omit": fault.omit,
        "content_type": fault.media_type,
        "token_flaw": fault.token_flaw,
        "invalid_json": fault.breaks_json,
        "compressed": fault.coding or None,
        "delay_seconds": fault.delay_seconds or None,
        "latency_seconds": fault.latency_seconds or None,
        "times": fault.count,
    }
    if fault.manner in (Manner.STALL, Manner.DRIP):
        keys[_MANNERS[fault.manner]] = fault.spread_seconds
    elif fault.manner not in (Manner.NORMAL, Manner.REFUSE):
        keys[_MANNERS[fault.manner]] = True
    return FaultBody(**keys)


def _body_keys(fault: Fault) -> dict[str, Any]:
    """Return the body of a fault under its key."""
    if isinstance(fault.body, bytes):
        return {"body_base64": base64.b64encode(fault.body).decode()}
    return {"body": dict(fault.body) if isinstance(fault.body, Mapping) else fault.body}


def _grouped(headers: tuple[tuple[str, str], ...]) -> dict[str, _HeaderValues]:
    """Return header fields by name; a name that occurs several times has a list of values."""
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return {n: values[0] if len(values) == 1 else values for n, values in grouped.items()}
