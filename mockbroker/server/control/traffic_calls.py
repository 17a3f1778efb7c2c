"""Control requests about what a broker has seen: the journal, conformance, events."""

from __future__ import annotations

import re

from mockbroker.broker.exchange_view import ExchangeView, view_of
from mockbroker.broker.near_misses import Pattern, assert_seen
from mockbroker.model.exchange import Exchange, Trace
from mockbroker.server.control.calls import Call, Result
from mockbroker.server.control.events import EventStream
from mockbroker.server.control.reading import RequestError
from mockbroker.server.control.values import Conformance, Journal, Matched, Problem, Unmet
from mockbroker.server.control.views import closest_views, conformance_of
from mockbroker.server.control.watching import wait_for

_NUMBER = re.compile(r"[0-9]{1,15}")

__all__ = [
    "clear_journal",
    "events",
    "show_conformance",
    "show_exchange",
    "show_journal",
    "verify_conformance",
    "verify_journal",
    "wait_for_journal",
]


def show_journal(call: Call) -> Journal:
    """Return the exchanges that the query asks for."""
    wanted, journal = call.query, call.broker.journal
    pattern = Pattern(method=wanted.method, url=wanted.url, status=wanted.status)
    fitting = [
        exchange
        for exchange in journal.since(wanted.since)
        if wanted.endpoint in (None, exchange.endpoint.value) and not pattern.differences(exchange)
    ]
    return Journal(
        total=journal.total,
        dropped=journal.dropped,
        fits=len(fitting),
        exchanges=tuple(view_of(e, call.broker.masked) for e in fitting[-wanted.limit :]),
    )


def show_exchange(call: Call) -> ExchangeView:
    """Return the exchange of that number."""
    number = call.path["number"]
    found = [e for e in call.broker.journal if str(e.number) == number]
    if not found:
        raise RequestError(
            404,
            "not-found",
            f"the journal has no exchange {number[:20]!r}; GET journal lists those that it holds",
        )
    return view_of(found[0], call.broker.masked)


def clear_journal(call: Call) -> Journal:
    """Remove every exchange."""
    journal = call.broker.journal
    journal.clear()
    return Journal(total=journal.total, dropped=journal.dropped, fits=0, exchanges=())


def verify_journal(call: Call) -> Matched | Result:
    """Return the exchanges that fit, or 409 with the closest ones if it is another number."""
    body, pattern = call.body, _pattern(call)
    exchanges = call.broker.journal.since(body.since)
    fitting = _fitting(pattern, exchanges)
    try:
        assert_seen(exchanges, pattern, body.times, call.broker.masked)
    except AssertionError as error:
        return _unmet(call, pattern, exchanges, fitting, str(error))
    return _matched(call, fitting)


def wait_for_journal(call: Call) -> Matched | Result:
    """Wait until enough exchanges fit; return 409 with the closest ones if they do not come."""
    body, pattern, journal = call.body, _pattern(call), call.broker.journal
    fitting = wait_for(
        call.watchers,
        journal,
        pattern,
        count=body.count,
        since=body.since,
        timeout_seconds=body.timeout_seconds,
    )
    if len(fitting) >= body.count:
        return _matched(call, fitting)
    if call.watchers.stopped.is_set():
        raise RequestError(503, "ending", "the server ended before the exchanges came")
    exchanges = journal.since(body.since)
    message = (
        f"expected at least {body.count} like this within {body.timeout_seconds:g} s: {pattern}; "
        f"{len(fitting)} of {len(exchanges)} fit"
    )
    return _unmet(call, pattern, exchanges, fitting, call.broker.masked(message))


def _pattern(call: Call) -> Pattern:
    """Return what the exchanges must be like."""
    body = call.body
    return Pattern(method=body.method, url=body.url, headers=body.headers, status=body.status)


def _fitting(pattern: Pattern, exchanges: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
    """Return the exchanges that fit a pattern."""
    return tuple(exchange for exchange in exchanges if not pattern.differences(exchange))


def _matched(call: Call, fitting: tuple[Exchange, ...]) -> Matched:
    """Return the numbers of the exchanges that fit."""
    numbers = tuple(exchange.number for exchange in fitting)
    return Matched(fits=len(fitting), numbers=numbers, total=call.broker.journal.total)


def _unmet(
    call: Call,
    pattern: Pattern,
    exchanges: tuple[Exchange, ...],
    fitting: tuple[Exchange, ...],
    message: str,
) -> Result:
    """Return that an expectation does not hold, with what was seen instead."""
    closest = closest_views(pattern, fitting or exchanges, call.broker.masked)
    return Result(409, Unmet(error="unmet", message=message, fits=len(fitting), closest=closest))


def show_conformance(call: Call) -> Conformance:
    """Return what the traffic shows so far."""
    return conformance_of(call.broker, call.query.fail_on)


def verify_conformance(call: Call) -> Conformance | Result:
    """Return what the traffic shows, or 409 if `assert_conforms` would fail."""
    fail_on = call.body.fail_on
    trace: Trace = call.broker.trace()
    problem = call.broker.problem_with(trace, fail_on)
    if problem:
        return Result(409, Problem(error="unmet", message=problem))
    return conformance_of(call.broker, fail_on)


def events(call: Call) -> EventStream:
    """Return the events from now on, or after the one that the reader has seen last."""
    seen = call.request.headers.get("Last-Event-ID") or ""
    since = int(seen) if _NUMBER.fullmatch(seen) else call.query.since
    return EventStream(call.broker, call.watchers, since)
