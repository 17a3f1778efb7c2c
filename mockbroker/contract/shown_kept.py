"""Clauses that traffic can show to be kept, but not to be broken. Pure.

They need a situation that seldom occurs by itself: an outage, a revoked token. A scenario of an
audit or the control API provokes it. What the app did next then shows that it kept the clause. If
it did nothing, it may just have ended, so silence is never a breach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace

__all__ = ["SHOWN_CLAUSES", "ShownClause", "Situation", "shown_kept"]

RECOVERY_SECONDS = 60.0
"""How long after an outage a client may need, by `refresh.recovers`."""
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Situation:
    """A situation of a clause: the number of its exchange, and whether the client handled it."""

    number: int
    is_handled: bool


@dataclass(frozen=True, slots=True)
class ShownClause:
    """A clause, the situations of it in a trace, and the reason if there are none to show it."""

    clause: Clause
    lack: str
    situations: Callable[[Trace], Iterable[Situation]]


def shown_kept(trace: Trace, until: int) -> Mapping[str, bool]:
    """Return the ids of the clauses that had a situation, and whether all of them were handled.

    A situation after number ``until`` counts only if it was handled: the rest may follow.
    """
    counted = {
        shown.clause.id: [
            each.is_handled
            for each in shown.situations(trace)
            if each.is_handled or each.number <= until
        ]
        for shown in SHOWN_CLAUSES
    }
    return {name: all(handled) for name, handled in counted.items() if handled}


def _repeated_after_revocation(trace: Trace) -> Iterator[Situation]:
    """Yield each call that was refused for a token that had ended early.

    It is handled if the client repeated the call with a newer token.
    """
    # The last accepted call of each kind: its number, and that of its token.
    accepted = {
        (call.request.method, call.request.target): (call.number, call.token.number)
        for call in trace.api_calls
        if call.token is not None and call.token_state is TokenState.VALID
    }
    for call in trace.api_calls:
        if call.token is not None and _has_ended_early(call, call.token):
            kind = call.request.method, call.request.target
            number, token_number = accepted.get(kind, (0, 0))
            is_repeated = number > call.number and token_number > call.token.number
            yield Situation(call.number, is_repeated)


def _has_ended_early(call: Exchange, token: AccessToken) -> bool:
    """Return whether a call presented a token that was revoked, or expired before its time."""
    if call.token_state is TokenState.EXPIRED:
        return call.received_at < token.expires_at
    return call.token_state is TokenState.REVOKED


def _recovered(trace: Trace) -> Iterator[Situation]:
    """Yield each series of failed token requests of a client.

    It is handled if the client got a token soon after the last of them, when the outage may have
    lasted still.
    """
    failed: dict[Credentials, Exchange] = {}
    for exchange in trace.token_requests:
        client = exchange.credentials
        if client is None:
            continue
        if _has_failed(exchange):
            failed[client] = exchange
        elif exchange.token is not None and client in failed:
            last = failed.pop(client)
            soon = exchange.received_at - last.received_at <= RECOVERY_SECONDS
            yield Situation(last.number, soon)
    yield from (Situation(last.number, is_handled=False) for last in failed.values())


def _used_while_valid(trace: Trace) -> Iterator[Situation]:
    """Yield each refresh that failed while the client had one valid token.

    It is handled if the client used that token afterwards. Otherwise it may have had no call.
    """
    issued: dict[Credentials, list[AccessToken]] = {}
    pending: dict[AccessToken, int] = {}
    for exchange in trace.exchanges:
        client, token = exchange.credentials, exchange.token
        if client is None:
            continue
        known = issued.setdefault(client, [])
        if exchange.endpoint is Endpoint.API:
            if exchange.token_state is not TokenState.VALID:
                # The client has learned that it has ended.
                issued[client] = [each for each in known if each != token]
            elif token in pending:
                yield Situation(pending.pop(token), is_handled=True)
        elif token is not None:
            known.append(token)
        elif _has_failed(exchange):
            # With several valid tokens another process may be the one that goes on.
            valid = [each for each in known if exchange.received_at < each.expires_at]
            pending |= dict.fromkeys(valid, exchange.number) if len(valid) == 1 else {}


def _raised_after_expiry(trace: Trace) -> Iterator[Situation]:
    """Yield each outage in which a client had no token that had not expired.

    It is handled if the client presented none of the expired ones until it got a token.
    """
    expires: dict[Credentials, float] = {}
    began: dict[Credentials, int] = {}
    presented: set[Credentials] = set()
    for exchange in trace.exchanges:
        client, token = exchange.credentials, exchange.token
        if client is None:
            continue
        if exchange.endpoint is Endpoint.API and exchange.token_state is TokenState.EXPIRED:
            presented.add(client)
        elif exchange.endpoint is Endpoint.TOKEN and token is not None:
            if client in began:
                yield Situation(began.pop(client), client not in presented)
            expires[client] = max(token.expires_at, expires.get(client, token.expires_at))
        elif exchange.endpoint is Endpoint.TOKEN and client not in began:
            is_expired = exchange.received_at >= expires.get(client, float("inf"))
            if is_expired and _has_failed(exchange):
                began[client] = exchange.number
                presented.discard(client)


def _has_failed(exchange: Exchange) -> bool:
    """Return whether a scripted fault failed the request as an outage does."""
    if exchange.fault is None:
        return False
    return exchange.response is None or exchange.response.status >= _FIRST_SERVER_ERROR


SHOWN_CLAUSES = (
    ShownClause(
        clauses.signing.REVOKED,
        "no call was seen that was refused for a revoked token and then repeated with a new one",
        _repeated_after_revocation,
    ),
    ShownClause(
        clauses.refresh.RECOVERS,
        "no outage of the token endpoint was seen from which every client soon recovered",
        _recovered,
    ),
    ShownClause(
        clauses.refresh.OUTAGE_WHILE_VALID,
        "no refresh was seen that failed while a client had a valid token and used it afterwards",
        _used_while_valid,
    ),
    ShownClause(
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        "no outage was seen in which a token had expired and that ended",
        _raised_after_expiry,
    ),
)
"""The clauses that traffic can show to be kept."""
