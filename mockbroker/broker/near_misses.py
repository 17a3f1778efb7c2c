"""The assertion on a journal, and the exchanges that come closest if it fails.

A bare "not found" would make the user print the journal. The most similar exchanges, each with
its differences, usually show the mistake at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mockbroker.model.exchange import Exchange
from mockbroker.model.exchange_text import describe
from mockbroker.model.masking import Mask, mask_parameters, method_name

__all__ = ["Pattern", "assert_seen", "closest_to"]

SHOWN = 3
"""How many of the closest exchanges a message has."""
HARMLESS = {"accept", "content-length", "content-type", "host", "user-agent"}
"""Header fields whose values a message may quote; any other field may hold a credential."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The properties that an exchange must have; one that is None or empty matches anything.

    ``url`` is a whole URL or begins with the path; without a query it fits any query. Names of
    header fields compare without case.
    """

    method: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None

    def differences(self, exchange: Exchange) -> tuple[str, ...]:
        """Return how an exchange differs from the pattern, in words without credentials."""
        return tuple(self._differences(exchange))

    def _differences(self, exchange: Exchange) -> Iterator[str]:
        """Yield the differences one by one; `differences` has them as a tuple."""
        request, response = exchange.request, exchange.response
        if self.method is not None and request.method != self.method:
            yield f"the method is {method_name(request.method)}, not {self.method}"
        if self.url is not None and self.url not in _names_of(exchange):
            yield f"the URL is not {self.url}"
        for name, value in self.headers.items():
            # Any of several fields of one name may match.
            if value not in request.headers.get_all(name):
                yield _header_difference(name, value, request.headers.get(name))
        status = response.status if response is not None else None
        if self.status is not None and status != self.status:
            yield f"the status is {status or 'missing'}, not {self.status}"

    def __str__(self) -> str:
        # Names of header fields only: their values may be credentials.
        parts = [self.method, self.url, self.status and f"status {self.status}", *self.headers]
        return ", ".join(str(part) for part in parts if part) or "any request"


def closest_to(pattern: Pattern, exchanges: Sequence[Exchange]) -> tuple[Exchange, ...]:
    """Return the exchanges with the fewest differences from a pattern, `SHOWN` at most."""
    return tuple(sorted(exchanges, key=lambda e: len(pattern.differences(e)))[:SHOWN])


def assert_seen(
    exchanges: Sequence[Exchange], pattern: Pattern, times: int | None, mask: Mask = str
) -> None:
    """Assert that ``times`` exchanges fit a pattern, or at least one if that is None.

    ``mask`` replaces secrets in the message. Raises AssertionError with the closest exchanges and
    their differences.
    """
    # pytest leaves a frame with this variable out of its traceback: the user's own line ends it.
    __tracebackhide__ = True
    fitting = [exchange for exchange in exchanges if not pattern.differences(exchange)]
    if len(fitting) == times or (times is None and fitting):
        return
    wanted = "at least 1" if times is None else str(times)
    found = f"expected {wanted} like this: {pattern}\n{len(fitting)} of {len(exchanges)} fit"
    # If some fit, only their number is wrong, so these are shown and not the closest others.
    shown = fitting or closest_to(pattern, exchanges)
    title = "they are:" if fitting else "the closest:" if shown else "the broker saw no request"
    text = "\n".join([f"{found}; {title}", *_lines(pattern, shown)])
    # Both masks: parameters by their names, and values that the broker knows wherever they stand.
    raise AssertionError(mask(mask_parameters(text)))


def _lines(pattern: Pattern, exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Yield a description of each exchange, followed by its differences from the pattern."""
    for exchange in exchanges:
        yield f"  {describe(exchange)}"
        yield from (f"    - {difference}" for difference in pattern.differences(exchange))


def _names_of(exchange: Exchange) -> set[str]:
    """Return each URL by which a pattern may name the exchange: with origin, with query."""
    request = exchange.request
    # Both with and without the query, so that a pattern without a query fits any query.
    relative = {request.path, request.target}
    return relative | {exchange.origin + name for name in relative}


def _header_difference(name: str, wanted: str, found: str | None) -> str:
    """Describe a missing or different header field, without a value that may be secret."""
    if found is None:
        return f"{name} is missing"
    if name.lower() not in HARMLESS:
        return f"{name} has another value"
    return f"{name} is {found!r}, not {wanted!r}"
