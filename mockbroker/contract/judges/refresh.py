"""Judges of the chapter ``refresh``: a new token in time, by the same grant."""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.forms import body_parameters

__all__ = ["asks_again", "judge_expiry", "judge_grant", "outlives_a_token", "used_late"]

_SAME_MOMENT = 1.0
_LAST_PART = 0.1
"""How much of a token's lifetime is left, as a fraction, when it nears its expiry."""


def judge_expiry(trace: Trace) -> Iterator[Breach]:
    """Expired tokens presented to the API, or handed out by ``get_token``.

    A token fetched within the same use is not held against the client, even with a lifetime
    of 0. Nor is one, in traffic merely observed, that expired less than a second ago: a client
    counts from when the answer reached it, and its call takes time to come.
    """
    for call in trace.api_calls:
        if call.token_state is TokenState.EXPIRED and not _is_excused(call, trace):
            yield _late(call.token, call.received_at, (call.number,))
    for use in trace.uses:
        if use.token_state is TokenState.EXPIRED and not _fetched_in(use.number, use.token, trace):
            yield _late(use.token, use.ended_at, ())


def _late(token: AccessToken | None, now: float, exchanges: tuple[int, ...]) -> Breach:
    if token is None:
        return Breach("refresh.honours-expires-in", "an expired token was used", "a new one")
    return Breach(
        "refresh.honours-expires-in",
        f"{token.label} (expires_in={token.expires_in:g}) was used "
        f"{used_late(now - token.expires_at)}",
        "a new token: one issued at t is valid while now < t + expires_in",
        exchanges=exchanges,
    )


def used_late(seconds: float) -> str:
    """In words, when a token was used whose expiry was so many seconds ago."""
    late = round(seconds, 1)
    return f"{late:g} s after it expired" if late > 0 else "at the very instant of its expiry"


def _is_excused(call: Exchange, trace: Trace) -> bool:
    if call.use is not None:
        return _fetched_in(call.use, call.token, trace)
    if call.token is not None and 0 < call.received_at - call.token.expires_at < _SAME_MOMENT:
        return True
    if any(c.token == call.token and c.number < call.number for c in trace.api_calls):
        return False  # it was used before
    if call.token is None or call.token.expires_in <= 0:
        return True
    issued = [e for e in trace.token_requests if e.token == call.token]
    return bool(issued) and call.received_at - issued[-1].answered_at < _SAME_MOMENT


def _fetched_in(use: int, token: AccessToken | None, trace: Trace) -> bool:
    return any(e.use == use and e.token == token for e in trace.token_requests)


def judge_grant(trace: Trace) -> Iterator[Breach]:
    """Tokens asked for by refresh token (RFC 6749, 4.4.3: none belongs to this grant)."""
    for exchange in trace.token_requests:
        if ("grant_type", "refresh_token") in body_parameters(exchange.request):
            yield Breach(
                "refresh.same-grant",
                "a token was asked for by grant_type=refresh_token",
                "grant_type=client_credentials again",
                exchanges=(exchange.number,),
            )


def asks_again(trace: Trace) -> bool:
    """Whether a client asked for a token twice."""
    asked = [e.credentials for e in trace.token_requests if e.credentials is not None]
    return len(asked) > len(set(asked))


def outlives_a_token(trace: Trace) -> bool:
    """Whether a client went on when a token of its had expired, or replaced one that was near it.

    Only then could it have presented an expired one.
    """
    first: dict[Credentials, AccessToken] = {}
    for exchange in trace.exchanges:
        client, token = exchange.credentials, exchange.token
        if client is None:
            continue
        if client in first and _shows_care(exchange, first[client]):
            return True
        if token and (client not in first or token.expires_at < first[client].expires_at):
            first[client] = token
    return False


def _shows_care(exchange: Exchange, old: AccessToken) -> bool:
    """Whether the client asks for a token late in the old one's life, or calls well after it."""
    if exchange.endpoint is Endpoint.TOKEN:
        return exchange.received_at >= old.expires_at - _LAST_PART * old.expires_in
    return exchange.token_state is TokenState.VALID and exchange.received_at >= old.expires_at
