"""Records of exchanges for reports: typed, masked, without message bodies.

An exchange holds whole messages with secrets. A record is what may leave the process.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mockbroker.model.authorization import read_authorization
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.masking import (
    Mask,
    header_name,
    mask_parameters,
    mask_to_length,
    method_name,
    scheme_name,
)

__all__ = ["BreachRecord", "ExchangeRecord", "record_of", "records_of"]

_SHOWN_HEADERS = ("accept", "authorization", "content-type")
"""The fields on which clauses depend; others may hold cookies or keys that no mask knows."""
_MAX_TEXT = 500
"""How many characters of a header value a record holds."""
_DECIMALS = 3
"""Times are rounded to milliseconds."""


class BreachRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A breach that a single request shows: the clause and the observation.

    ``what`` is masked.
    """

    clause_id: str
    what: str


class ExchangeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request and its answer.

    ``at_seconds`` counts from the first exchange shown, by the broker's clock. ``scheme`` is that
    of the Authorization header; it is None without such a header and empty without a scheme.
    ``headers`` are the fields of the request that clauses depend on. ``status`` is None if the
    client got no complete response. ``token`` is the number of the token that was issued or
    presented: an issued one has ``expires_in``, a presented one has ``token_state``.
    ``fault`` names the scripted fault that changed the response.
    """

    number: int
    at_seconds: float
    endpoint: Endpoint
    method: str
    target: str
    scheme: str | None
    headers: tuple[tuple[str, str], ...] = ()
    status: int | None = None
    token: int | None = None
    token_state: str | None = None
    expires_in: float | None = None
    fault: str | None = None
    breaches: tuple[BreachRecord, ...] = ()


def record_of(
    exchange: Exchange, mask: Mask = str, *, since: float | None = None, prefix: str = ""
) -> ExchangeRecord:
    """Return the record of an exchange, with each string in it masked.

    ``since`` is when the first exchange shown arrived, in Unix seconds. ``prefix`` is the path
    below which the broker is mounted; the target of the record is without it.
    """
    request, token = exchange.request, exchange.token
    first = exchange.received_at if since is None else since
    authorization = request.headers.get("Authorization")
    is_issued = exchange.endpoint is Endpoint.TOKEN and token is not None
    # A call may carry its token in a field of the provider's own.
    is_call = exchange.endpoint is not Endpoint.TOKEN and (
        authorization is not None or (token is not None and not exchange.is_unsigned)
    )
    state = exchange.token_state.value if exchange.token_state else "unknown"
    headers = [(n, v) for n, v in request.headers if n.lower() in _SHOWN_HEADERS]
    return ExchangeRecord(
        number=exchange.number,
        at_seconds=round(exchange.received_at - first, _DECIMALS),
        endpoint=exchange.endpoint,
        method=mask(method_name(request.method)),
        # Without the prefix, which is different in each test case: reports of two runs can be
        # compared.
        target=mask(mask_parameters(request.target.removeprefix(prefix))),
        scheme=None if authorization is None else _scheme(authorization),
        headers=tuple((header_name(n), _masked_value(n, v, mask)) for n, v in headers),
        status=exchange.response.status if exchange.response is not None else None,
        token=token.number if token is not None else None,
        token_state=state if is_call else None,
        expires_in=token.expires_in if is_issued and token is not None else None,
        fault=exchange.fault or None,
        breaches=tuple(BreachRecord(b.clause_id, mask(b.what)) for b in exchange.breaches),
    )


def records_of(
    exchanges: Iterable[Exchange], mask: Mask = str, *, prefix: str = ""
) -> tuple[ExchangeRecord, ...]:
    """Return the records of these exchanges; their times count from the first of them."""
    ordered = tuple(exchanges)
    since = ordered[0].received_at if ordered else None
    return tuple(record_of(exchange, mask, since=since, prefix=prefix) for exchange in ordered)


def _scheme(authorization: str) -> str:
    """Return the scheme of an Authorization header if it has the form of one."""
    return scheme_name(read_authorization(authorization).scheme)


def _masked_value(name: str, value: str, mask: Mask) -> str:
    """Return the value of a header field with its secrets masked, limited in length."""
    # Always masked as a whole: credentials that match no registered client are unknown to the mask.
    if name.lower() == "authorization":
        return f"{_scheme(value)} <masked>".lstrip()
    return mask_to_length(value, mask, _MAX_TEXT)
