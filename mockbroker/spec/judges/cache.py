"""Judges of the chapter ``cache``: one token for many calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mockbroker.spec.clause import Breach
from mockbroker.spec.credentials import AccessToken, TokenState
from mockbroker.spec.exchange import Exchange, Trace

__all__ = ["judge_reuse"]

_LONG_LIFETIME = 600
_ENOUGH_TOKENS = 3


def judge_reuse(trace: Trace) -> Iterator[Breach]:
    """Tokens fetched again and again, each for a single call, while they were still fresh.

    Several processes that each keep a token of their own show tokens used many times, and are
    not blamed; nor is a client whose token had been refused.
    """
    for issued in _by_client(trace).values():
        run: list[Exchange] = []
        for exchange in issued:
            run = [*run, exchange] if _wasteful(exchange, run, trace) else [exchange]
            if len(run) == _ENOUGH_TOKENS:
                yield _breach(run)
                break


def _by_client(trace: Trace) -> dict[object, list[Exchange]]:
    grouped: dict[object, list[Exchange]] = defaultdict(list)
    for exchange in trace.token_requests:
        if exchange.token is not None and exchange.fault is None:
            grouped[exchange.token.credentials, exchange.request.body].append(exchange)
    return grouped


def _wasteful(exchange: Exchange, run: Sequence[Exchange], trace: Trace) -> bool:
    """Whether the token before this one was fresh, used at most once, and never refused."""
    if not run or run[-1].token is None:
        return False
    previous = run[-1].token
    uses = [call for call in trace.api_calls if call.token == previous]
    refused = any(call.token_state is not TokenState.VALID for call in uses)
    refused = refused or any(call.response and call.response.status == 401 for call in uses)  # noqa: PLR2004
    return len(uses) == 1 and not refused and _is_fresh(previous, exchange.received_at)


def _is_fresh(token: AccessToken, now: float) -> bool:
    left = token.expires_at - now
    return token.expires_in >= _LONG_LIFETIME and left > token.expires_in / 2


def _breach(run: Sequence[Exchange]) -> Breach:
    return Breach(
        "cache.reuse",
        f"{len(run)} tokens were fetched in a row, one for each call, while the one before was "
        "good for more than half of its lifetime",
        "one token for many calls",
        exchanges=tuple(exchange.number for exchange in run),
    )
