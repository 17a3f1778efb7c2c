"""Judges of the chapter ``errors``: refusals and what the client makes of them."""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Endpoint, Exchange, Trace

__all__ = ["judge_hammering", "stands_alone"]

_FINAL = frozenset({400, 401, 403})
_SAME_MOMENT = 1.0
_PATIENCE = 10
"""In traffic merely observed each worker of an app may have asked once."""


def judge_hammering(trace: Trace) -> Iterator[Breach]:
    """A token request again at once, although the refusal was final.

    Within one use of the client a second one is too many, also with other credentials or in
    another way. In traffic merely observed nobody knows where a use begins, so that only a series
    of the same request within a second counts. A call that the API refuses is a new reason to ask.
    """
    series: list[Exchange] = []
    for exchange in trace.exchanges:
        if exchange.endpoint is not Endpoint.TOKEN or not _is_final(exchange):
            series = [] if _is_final(exchange) or exchange.endpoint is Endpoint.TOKEN else series
            continue
        series = [*series, exchange] if series and _again(series[-1], exchange) else [exchange]
        if len(series) == (_PATIENCE if exchange.use is None else 2):
            yield _breach(series)


def _again(before: Exchange, now: Exchange) -> bool:
    if now.use is not None:
        return before.use == now.use
    if (before.request.body, before.credentials) != (now.request.body, now.credentials):
        return False
    return now.received_at - before.received_at < _SAME_MOMENT


def stands_alone(trace: Trace) -> bool:
    """Whether some refusal was final and no request like it came within a second of it.

    Of requests that come closer nobody can tell whether they are one caller's or several'.
    """
    latest: dict[object, Exchange] = {}
    crowded: set[int] = set()
    for exchange in trace.token_requests:
        key = (exchange.request.body, exchange.credentials)
        before = latest.get(key)
        if before and exchange.received_at - before.received_at < _SAME_MOMENT:
            crowded |= {before.number, exchange.number}
        latest[key] = exchange
    return any(_is_final(e) and e.number not in crowded for e in trace.token_requests)


def _is_final(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status in _FINAL


def _breach(series: list[Exchange]) -> Breach:
    status = series[-1].response.status if series[-1].response else 0
    return Breach(
        "errors.no-hammering",
        f"after a final refusal ({status}) it asked again, {len(series)} times in all",
        "one attempt: asking again cannot change the answer",
        exchanges=tuple(exchange.number for exchange in series),
    )
