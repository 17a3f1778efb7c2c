"""Judges of the chapter ``cache``: one token for many calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Exchange, Trace

__all__ = ["judge_reuse", "reuses"]

_LONG_LIFETIME = 600
_ENOUGH_TOKENS = 3
_ENOUGH_OBSERVED_TOKENS = 10
"""In traffic merely observed each worker of an app may have fetched a token and made one call."""

Calls = Mapping[AccessToken | None, Sequence[Exchange]]


def judge_reuse(trace: Trace) -> Iterator[Breach]:
    """Tokens fetched again and again, each for a single call, while they were still fresh.

    Several processes that each keep a token of their own show tokens used many times, and are
    not blamed; nor is a client whose token had been refused. In traffic merely observed, nor is
    a client that was seen to use any token twice.
    """
    calls = _calls_by_token(trace)
    keepers = {token.credentials for token, made in calls.items() if token and _is_reused(made)}
    for (credentials, _), issued in _by_client(trace).items():
        observed = issued[0].use is None
        if observed and credentials in keepers:
            continue
        enough = _ENOUGH_OBSERVED_TOKENS if observed else _ENOUGH_TOKENS
        run: list[Exchange] = []
        for exchange in issued:
            run = [*run, exchange] if _wasteful(exchange, run, calls) else [exchange]
            if len(run) == enough:
                yield _breach(run)
                break


def reuses(trace: Trace) -> bool:
    """Whether some token was carried by two calls while it was valid."""
    return any(token and _is_reused(made) for token, made in _calls_by_token(trace).items())


def _calls_by_token(trace: Trace) -> Calls:
    grouped: dict[AccessToken | None, list[Exchange]] = defaultdict(list)
    for call in trace.api_calls:
        grouped[call.token].append(call)
    return grouped


def _is_reused(calls: Sequence[Exchange]) -> bool:
    return sum(call.token_state is TokenState.VALID for call in calls) > 1


def _by_client(trace: Trace) -> dict[tuple[Credentials, bytes], list[Exchange]]:
    grouped: dict[tuple[Credentials, bytes], list[Exchange]] = defaultdict(list)
    for exchange in trace.token_requests:
        if exchange.token is not None and exchange.fault is None:
            grouped[exchange.token.credentials, exchange.request.body].append(exchange)
    return grouped


def _wasteful(exchange: Exchange, run: Sequence[Exchange], calls: Calls) -> bool:
    """Whether the token before this one was used once by now, still fresh, and never refused.

    One not used by now is another caller's: side by side, each fetches a token before its call.
    """
    if not run or run[-1].token is None:
        return False
    previous = run[-1].token
    uses = calls.get(previous, ())
    refused = any(call.token_state is not TokenState.VALID for call in uses)
    refused = refused or any(call.response and call.response.status == 401 for call in uses)  # noqa: PLR2004
    used_once = len(uses) == 1 and uses[0].number < exchange.number
    return used_once and not refused and _is_fresh(previous, exchange.received_at)


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
