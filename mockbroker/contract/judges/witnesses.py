"""Witnesses: what must have been seen before a clause that nothing breaks may count as kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from mockbroker.contract.judges.cache import reuses
from mockbroker.contract.judges.errors import stands_alone
from mockbroker.contract.judges.refresh import asks_again, outlives_a_token
from mockbroker.contract.judges.request import NO_BODY_METHODS
from mockbroker.model.authorization import decoded_basic
from mockbroker.model.exchange import Exchange, Trace
from mockbroker.model.forms import body_parameters

__all__ = ["WITNESSES", "Witness", "never_reached", "reached"]

_NOTHING = "no token request was seen"


@dataclass(frozen=True, slots=True)
class Witness:
    """The situation that a clause is about.

    ``lack`` says what is missing as long as ``is_in`` finds it in no trace.
    """

    lack: str
    is_in: Callable[[Trace], bool]


def reached(trace: Trace) -> frozenset[str]:
    """The passive clauses whose situation is in the trace."""
    return frozenset(name for name, witness in WITNESSES.items() if witness.is_in(trace))


def never_reached(seen: Collection[str]) -> dict[str, str]:
    """For each passive clause but those in ``seen``, why its keeping is not shown."""
    lacks = {name: witness.lack for name, witness in WITNESSES.items() if name not in seen}
    if not seen:
        lacks = dict.fromkeys(WITNESSES, _NOTHING)
    return {name: f"never reached: {lack}" for name, lack in lacks.items()}


def _token_request(lack: str, fits: Callable[[Exchange], bool]) -> Witness:
    return Witness(lack, lambda trace: any(fits(e) for e in trace.token_requests))


def _has_room_for_a_body(exchange: Exchange) -> bool:
    return exchange.request.method not in NO_BODY_METHODS


def _has_a_form(exchange: Exchange) -> bool:
    return _has_room_for_a_body(exchange) and any(
        name == "grant_type" for name, _ in body_parameters(exchange.request)
    )


def _has_authorization(exchange: Exchange) -> bool:
    return exchange.request.headers.get("Authorization") is not None


def _shows_credentials(exchange: Exchange) -> bool:
    """Whether there are credentials that can be read where the profile wants them."""
    if decoded_basic(exchange.request) is not None:
        return True
    in_place = all(breach.clause_id != "basic.scheme" for breach in exchange.breaches)
    names = {name for name, _ in body_parameters(exchange.request)}
    return in_place and "client_secret" in names


def _needs_utf8(exchange: Exchange) -> bool:
    pair = exchange.credentials
    beyond_ascii = pair is not None and not (pair.client_id + pair.client_secret).isascii()
    return beyond_ascii and decoded_basic(exchange.request) is not None


def _carries_a_token(trace: Trace) -> bool:
    return any(call.token is not None for call in trace.api_calls)


_ANY = Witness(_NOTHING, lambda trace: bool(trace.token_requests))
_BODY = _token_request("no token request but by GET was seen", _has_room_for_a_body)
_CREDENTIALS = _token_request("no readable credentials were seen", _shows_credentials)
_SIGNED = Witness("no call with a token of this broker was seen", _carries_a_token)

WITNESSES: Mapping[str, Witness] = {
    "request.method": _ANY,
    "request.url": _BODY,
    "request.content-type": _BODY,
    "request.grant-type": _BODY,
    "request.no-extra-parameters": _token_request(
        "no token request with a grant_type was seen", _has_a_form
    ),
    "request.accept": _ANY,
    "basic.scheme": _ANY,
    "basic.base64": _token_request(
        "no token request with Authorization was seen", _has_authorization
    ),
    "basic.credentials": _CREDENTIALS,
    "basic.utf8": _token_request("no credentials beyond ASCII were seen", _needs_utf8),
    "basic.only": _CREDENTIALS,
    "cache.reuse": Witness("no valid token was seen in two calls", reuses),
    "refresh.honours-expires-in": Witness(
        "no client was seen to outlast a token", outlives_a_token
    ),
    "refresh.same-grant": Witness("no client asked for a second token", asks_again),
    "signing.bearer": _SIGNED,
    "signing.header-only": _SIGNED,
    "signing.no-credentials": _SIGNED,
    "errors.no-hammering": Witness(
        "no final refusal was seen on its own",
        stands_alone,
    ),
}
"""What must have been seen, for each passive clause."""
