"""Judges of the chapter ``refresh``: a new token in time, by the same grant."""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.spec.clause import Breach
from mockbroker.spec.credentials import AccessToken, TokenState
from mockbroker.spec.exchange import Exchange, Trace
from mockbroker.spec.forms import body_parameters

__all__ = ["judge_expiry", "judge_grant"]

_SAME_MOMENT = 1.0


def judge_expiry(trace: Trace) -> Iterator[Breach]:
    """Expired tokens presented to the API, or handed out by ``get_token``.

    A token fetched within the same use is not held against the client, even with a lifetime
    of 0.
    """
    for call in trace.api_calls:
        if call.token_state is TokenState.EXPIRED and not _just_fetched(call, trace):
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
        f"{round(now - token.expires_at, 1):g} s after it expired",
        "a new token: one issued at t is valid while now < t + expires_in",
        exchanges=exchanges,
    )


def _just_fetched(call: Exchange, trace: Trace) -> bool:
    if call.use is not None:
        return _fetched_in(call.use, call.token, trace)
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
