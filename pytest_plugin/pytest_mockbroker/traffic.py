"""The section of a failed test that shows what its broker saw, and what kept requests from it."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from mockbroker.broker.routes import HandlerError
from mockbroker.fake_broker import Broker
from mockbroker.model.breach import hints_of
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.exchange_text import describe
from mockbroker.model.messages import Request

__all__ = ["handler_errors_text", "late_text", "traffic_of"]

_CLIENT_ERROR = 400
_SHOWN_FRAMES = 10


def traffic_of(
    broker: Broker, hint_on: Callable[[Request], str], since: int = 0, notes: Iterable[str] = ()
) -> str:
    """Return each exchange after number ``since``, with verdict and hint; secrets masked.

    ``hint_on`` recognizes tokens of earlier tests. ``notes`` follow the exchanges. The text is for
    the report of a failed test, which is often published by a CI service.
    """
    lines = []
    for exchange in broker.journal.since(since):
        lines.append(describe(exchange))
        lines += [f"    hint: {hint}" for hint in hints_of(exchange.breaches)]
        kept = hint_on(exchange.request)
        lines += [f"    hint: {kept}"] if kept else _api_messages(exchange)
    # Said in words: an empty section would look like a failure of the plugin.
    lines = lines or ["the broker saw no request"]
    lines += [_handler_error_text(error) for error in broker.api.errors]
    return broker.masked("\n".join([*lines, *notes]))


def _api_messages(exchange: Exchange) -> Iterator[str]:
    """Yield why the API rejected a call, as its answer says it."""
    response = exchange.response
    if exchange.endpoint is not Endpoint.API or exchange.fault or response is None:
        return
    if response.status >= _CLIENT_ERROR and not exchange.breaches:
        try:
            yield f"    answer: {json.loads(response.body)['message']}"
        # A route of the test may answer with anything.
        except (ValueError, TypeError, LookupError):
            return


def late_text(tests: Iterable[str]) -> Iterator[str]:
    """Yield a note on token requests with the credentials of each of these earlier tests."""
    for test, count in Counter(tests).items():
        yield (
            f"not part of this test: {count} token request{'s' * (count > 1)} with the credentials "
            f"of an earlier test ({test}), from a thread that it left behind, or from an app that "
            "reads its settings once and needs auth_broker_session"
        )


def handler_errors_text(errors: Iterable[HandlerError]) -> str:
    """Return the exceptions of routes, each with the end of its traceback."""
    return "\n".join(map(_handler_error_text, errors))


def _handler_error_text(error: HandlerError) -> str:
    """Return the exception of a route's handler with the end of its traceback."""
    lines = traceback.format_exception(error.error, limit=-_SHOWN_FRAMES)
    route = f"{error.route.method} {error.route.path}"
    return f"the handler of route {route} raised for {error.call}:\n{''.join(lines).rstrip()}"
