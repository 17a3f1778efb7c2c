"""Exchanges as typed values for JSON, with secrets and tokens masked.

The journal file has a line for each, and the control API returns them. Unlike the records of
reports they have the bodies, cut where they are long.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Union

from msgspec import UNSET, Struct, UnsetType

from mockbroker.contract.catalogue import clause_named
from mockbroker.model.authorization import read_authorization
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.masking import (
    Mask,
    header_name,
    mask_body,
    mask_to_length,
    method_name,
    scheme_name,
)
from mockbroker.model.messages import Headers, Request, Response

__all__ = ["ExchangeView", "iso_time", "view_of"]

# Far more than any sound token request or response; it bounds a line for tools that read it.
_MAX_BODY = 16 * 1024
"""How many characters of a body are shown."""
_MAX_VALUE = 4 * 1024
"""How many characters of a target, and of the value of a header field, are shown."""
# Masked as a whole: their values may be credentials of other systems, which no mask knows.
_CREDENTIALS_FIELDS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}

_Time = Union[str, float, None]


class RequestView(Struct, frozen=True, kw_only=True):
    """A request; ``body_bytes`` is the length of a body that was cut."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str
    body_bytes: Union[int, UnsetType] = UNSET


class ResponseView(Struct, frozen=True, kw_only=True):
    """A response; ``body_bytes`` is the length of a body that was cut."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    body_bytes: Union[int, UnsetType] = UNSET


class TokenMention(Struct, frozen=True):
    """The token that was issued or presented, by its number."""

    number: int
    expires_at: _Time


class BreachView(Struct, frozen=True):
    """What is wrong with a request, and the likely mistake."""

    clause: str
    level: str
    what: str
    expected: str
    hints: tuple[str, ...]


class ExchangeView(Struct, frozen=True, kw_only=True):
    """An exchange; times are ISO 8601 in UTC, by the broker's clock.

    ``response`` is null if the client got no complete response. ``hint`` is on a request to an
    unknown path.
    """

    number: int
    received_at: _Time
    answered_at: _Time
    endpoint: Endpoint
    request: RequestView
    response: Union[ResponseView, None]
    client_id: Union[str, None]
    token: Union[TokenMention, None]
    token_state: Union[str, None]
    fault: Union[str, None]
    breaches: tuple[BreachView, ...]
    hint: Union[str, None] = None


def view_of(exchange: Exchange, mask: Mask) -> ExchangeView:
    """Return the exchange for JSON, with each string in it masked."""
    token, state = exchange.token, exchange.token_state
    return ExchangeView(
        number=exchange.number,
        received_at=iso_time(exchange.received_at),
        answered_at=iso_time(exchange.answered_at),
        endpoint=exchange.endpoint,
        request=_request(exchange.request, mask),
        response=None if exchange.response is None else _response(exchange.response, mask),
        client_id=exchange.credentials.client_id if exchange.credentials else None,
        token=None if token is None else TokenMention(token.number, iso_time(token.expires_at)),
        token_state=None if state is None else state.value,
        fault=exchange.fault,
        breaches=tuple(
            BreachView(
                clause=breach.clause_id,
                level=clause_named(breach.clause_id).level.value,
                what=mask(breach.what),
                expected=mask(breach.expected),
                hints=tuple(map(mask, breach.hints)),
            )
            for breach in exchange.breaches
        ),
        hint=mask(exchange.hint) or None,
    )


def iso_time(seconds: float) -> _Time:
    """Return the time as ISO 8601, or the number if datetime cannot represent it.

    JSON has neither NaN nor Infinity, so those become null.
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # outside the range of datetime
        return seconds if math.isfinite(seconds) else None


def _request(request: Request, mask: Mask) -> RequestView:
    """Return the request for JSON.

    The method and the names of fields are checked as well: a damaged request may have a secret
    there.
    """
    return RequestView(
        method=mask(method_name(request.method)),
        target=mask_to_length(request.target, mask, _MAX_VALUE),
        headers=_headers(request.headers, mask),
        body=mask_body(request.body, mask, _MAX_BODY),
        body_bytes=_length_if_cut(request.body),
    )


def _response(response: Response, mask: Mask) -> ResponseView:
    """Return the response for JSON."""
    return ResponseView(
        status=response.status,
        headers=_headers(response.headers, mask),
        body=mask_body(response.body, mask, _MAX_BODY),
        body_bytes=_length_if_cut(response.body),
    )


def _headers(headers: Headers, mask: Mask) -> tuple[tuple[str, str], ...]:
    """Return the fields in the order of the message; a name may occur twice."""
    return tuple((mask(header_name(n)), _masked_value(n, value, mask)) for n, value in headers)


def _masked_value(name: str, value: str, mask: Mask) -> str:
    """Return the value of a header field, masked; of credentials only the scheme remains."""
    if name.lower() not in _CREDENTIALS_FIELDS:
        return mask_to_length(value, mask, _MAX_VALUE)
    scheme = (
        scheme_name(read_authorization(value).scheme) if "authorization" in name.lower() else ""
    )
    return mask(f"{scheme} <masked>".lstrip())


def _length_if_cut(body: bytes) -> int | UnsetType:
    """Return the length of a body that is cut where it is shown."""
    return len(body) if len(body) > _MAX_BODY else UNSET
